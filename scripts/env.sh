# Sourced by the other scripts: where things are, and how they speak. One cache folder outside the tree holds all that is
# downloaded or built once per machine. Deleting it breaks no program that is built; the next build needs scripts/setup.
COGWHEEL_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
COGWHEEL_CACHE=${COGWHEEL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cogwheel}
COGWHEEL_SITE=$COGWHEEL_CACHE/site      # unpacked wheels: torch/, nvidia/, google/rpc/*.proto
COGWHEEL_CUDA_ROOT=$COGWHEEL_CACHE/cuda  # unpacked wheels of scripts/setup --cuda: nvidia/, cutlass_library/
COGWHEEL_DEPS=$COGWHEEL_CACHE/deps      # prefix of the four source packages
COGWHEEL_TOOLS=$COGWHEEL_CACHE/pytools  # Python packages of tests/integration
COGWHEEL_DEPLOY_TOOLS=$COGWHEEL_CACHE/deploy-tools  # what tests/deploy runs: kubectl, Kubernetes' schemas, Prometheus
export CCACHE_DIR=${CCACHE_DIR:-$COGWHEEL_CACHE/ccache}

# pinned NAME VERSION: the folder of a tool of exactly this version, from PyPI.
pinned() {
  local folder=$COGWHEEL_CACHE/$1-$2 fresh
  if [ ! -d "$folder" ]; then
    fresh=$(mktemp -d "$folder.XXXXXX")
    python3 -m pip install --quiet --no-deps --disable-pip-version-check --root-user-action=ignore --target "$fresh" "$1==$2" >&2
    mv "$fresh" "$folder"
  fi
  echo "$folder"
}

on_terminal() { [ -t 2 ] && [ "${TERM:-dumb}" != dumb ]; }

say() {
  if on_terminal && [ -z "${NO_COLOR:-}" ]; then printf '\033[1m%s\033[0m\n' "$*" >&2; else printf '%s\n' "$*" >&2; fi
}

# sign TEXT: one line that is drawn anew on a terminal, else a line each 5 s.
sign_at=5
sign() {
  local columns
  if on_terminal; then
    columns=$(stty size <&2 2>/dev/null | cut -d' ' -f2 || true)
    if [ "${columns:-0}" -lt 2 ]; then columns=80; fi
    printf '\r\033[K%.*s' $((columns - 1)) "$1" >&2
  elif [ $SECONDS -ge "$sign_at" ]; then
    sign_at=$((SECONDS + 5))
    printf '%s\n' "$1" >&2
  fi
}
end_sign() { if on_terminal; then printf '\r\033[K' >&2; fi; }

clock() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# quietly TITLE LOG COMMAND...: runs a command, shows meanwhile that it lives by the last line of LOG, or of the newest file
# in the folder LOG, and shows what it said only if it fails. LOG -: what the command says itself. Never call it in a
# condition: bash would let a function go on behind its first failure.
quietly() {
  local title=$1 log=$2 said status ticker; shift 2
  said=$(mktemp)
  if [ "$log" = - ]; then log=$said; fi
  show_life "$title" "$log" &
  ticker=$!
  set +e
  (set -e; "$@") > "$said" 2>&1
  status=$?
  set -e
  kill $ticker 2>/dev/null || true
  wait $ticker 2>/dev/null || true
  end_sign
  if [ $status != 0 ]; then tail -40 "$said" >&2; fi
  rm -f "$said"
  return $status
}

show_life() {
  local title=$1 log=$2 begin=$SECONDS file=$2 part='' last
  while kill -0 $$ 2>/dev/null; do  # an interrupted script does not end it
    if [ -d "$log" ]; then
      file=$(ls -td "$log"/* 2>/dev/null | head -1 || true)
      part=" $(basename "$file" .log)"
    fi
    last=$(tail -c 300 "$file" 2>/dev/null | tr '\r\t' '\n ' | grep -av '^ *$' | tail -1 | cut -c-60 || true)
    sign "  $title$part $(clock $((SECONDS - begin)))  $last"
    sleep 0.5
  done
}

# follow TITLE COUNTED DROPPED: of the lines of standard input those like COUNTED only as their first group, in a sign of life
# that goes on between two of them; without those like DROPPED; and all others as they are.
follow() {
  local title=$1 counted=$2 dropped=$3 line part='' count='' status begin=$SECONDS
  while true; do
    status=0
    IFS= read -r -t 1 line || status=$?
    line=$part$line part=''
    if [ $status -gt 128 ]; then
      part=$line
    elif [[ $line =~ $counted ]]; then
      count=${BASH_REMATCH[1]}
    elif [ $status != 0 ] && [ -z "$line" ]; then
      break
    elif [[ ! $line =~ $dropped ]]; then
      end_sign
      printf '%s\n' "$line"
    fi
    sign "  $title$part $(clock $((SECONDS - begin)))  $count"
  done
  end_sign
}
