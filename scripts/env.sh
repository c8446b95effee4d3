# Sourced by the other scripts: where things are. One cache folder outside the tree holds all that is
# downloaded or built once per machine; deleting it is always safe.
COGWHEEL_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
COGWHEEL_CACHE=${COGWHEEL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cogwheel}
COGWHEEL_SITE=$COGWHEEL_CACHE/site      # unpacked wheels: torch/, nvidia/, google/rpc/*.proto
COGWHEEL_CUDA_ROOT=$COGWHEEL_CACHE/cuda  # unpacked wheels of scripts/setup --cuda: nvidia/, cutlass_library/
COGWHEEL_DEPS=$COGWHEEL_CACHE/deps      # prefix of the four source packages
COGWHEEL_TOOLS=$COGWHEEL_CACHE/pytools  # Python packages of tests/integration
COGWHEEL_DEPLOY_TOOLS=$COGWHEEL_CACHE/deploy-tools  # what tests/deploy runs: kubectl, Kubernetes' schemas, Prometheus
export CCACHE_DIR=${CCACHE_DIR:-$COGWHEEL_CACHE/ccache}

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
