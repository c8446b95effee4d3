#!/usr/bin/env bash
# Builds static civetweb, prometheus-cpp, SentencePiece and a minimal FFmpeg (LGPL parts only) from the
# distribution's source packages: its binary packages are shared-only, or GPL as a whole.
#   build-deps.sh BUILD_FOLDER PREFIX
set -euo pipefail
build=${1:?build folder} prefix=${2:?install prefix}
jobs=$(nproc)
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

rm -rf "$build"
mkdir -p "$build/logs" "$prefix"
cd "$build"

# A private list with the sources switched on, so that the machine's own apt set-up stays as it is.
fetch() {
  mkdir -p lists apt/partial
  for f in /etc/apt/sources.list.d/*.sources; do
    [ -e "$f" ] && grep -q debian-archive-keyring\\\|ubuntu-archive-keyring "$f" &&
      sed 's/^Types:.*/Types: deb-src/' "$f" > "lists/$(basename "$f")"
  done
  sed -n 's/^deb /deb-src /p' /etc/apt/sources.list 2>/dev/null | grep -v cloud > lists/classic.list || true
  local options=(-o "Dir::Etc::sourceparts=$build/lists" -o Dir::Etc::sourcelist=/dev/null
                 -o "Dir::State::Lists=$build/apt" -o APT::Sandbox::User=root -o APT::Get::List-Cleanup=0)
  apt-get "${options[@]}" update
  apt-get "${options[@]}" source --download-only civetweb prometheus-cpp sentencepiece ffmpeg
  for p in civetweb prometheus-cpp sentencepiece ffmpeg; do
    dpkg-source --no-check -x "${p}"_*.dsc "$p"
  done
}

cmake_install() {  # cmake_install FOLDER OPTION...
  local folder=$1; shift
  cmake -S "$folder" -B "$folder/b" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
    -DBUILD_SHARED_LIBS=OFF -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib \
    -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache "$@"
}

# Stopping waits for one poll: 2,000 ms by default (civetweb issue 1163).
civetweb() {
  cmake_install civetweb -DCIVETWEB_ENABLE_CXX=ON -DCIVETWEB_ENABLE_SSL=OFF -DCIVETWEB_BUILD_TESTING=OFF \
    -DCIVETWEB_ENABLE_SERVER_EXECUTABLE=OFF -DCIVETWEB_ENABLE_ASAN=OFF -DCIVETWEB_ENABLE_DEBUG_TOOLS=OFF \
    -DCIVETWEB_ENABLE_IPV6=ON -DCMAKE_C_FLAGS=-DSOCKET_TIMEOUT_QUANTUM=100
  cmake --build civetweb/b -j"$jobs" && cmake --install civetweb/b
}

prometheus() {
  cmake_install prometheus-cpp -DENABLE_TESTING=OFF -DENABLE_PUSH=OFF -DUSE_THIRDPARTY_LIBRARIES=OFF
  cmake --build prometheus-cpp/b -j"$jobs" && cmake --install prometheus-cpp/b
}

# On the system's protobuf: a bundled second copy would clash with gRPC's.
sentencepiece() {
  (cd sentencepiece && { [ ! -e debian/patches/disable-static-library.patch ] ||
    patch -R -p1 < debian/patches/disable-static-library.patch; }
   sed -i 's#[<"]third_party/protobuf-lite/google/protobuf/message_lite.h[>"]#<google/protobuf/message_lite.h>#' src/init.h)
  cmake_install sentencepiece -DSPM_ENABLE_SHARED=OFF -DSPM_USE_BUILTIN_PROTOBUF=OFF -DSPM_USE_EXTERNAL_ABSL=OFF \
    -DSPM_ENABLE_TCMALLOC=OFF
  cmake --build sentencepiece/b -j"$jobs" --target sentencepiece-static
  mkdir -p "$prefix/lib" "$prefix/include"
  cp sentencepiece/b/src/libsentencepiece.a "$prefix/lib/"
  cp sentencepiece/src/sentencepiece_processor.h "$prefix/include/"
}

ffmpeg() {
  cd ffmpeg
  ./configure --prefix="$prefix" --cc="ccache gcc" --disable-everything --disable-programs --disable-doc \
    --disable-network --disable-autodetect --disable-avdevice --disable-avfilter --disable-postproc \
    --disable-swresample --disable-debug --enable-libopenh264 --enable-libvpx \
    --enable-encoder=libopenh264,libvpx_vp9,mjpeg --enable-decoder=h264 \
    --enable-muxer=mp4,webm --enable-demuxer=mov --enable-parser=h264 \
    --enable-bsf=h264_mp4toannexb,vp9_superframe,extract_extradata --enable-protocol=file,pipe \
    --enable-static --disable-shared --enable-pic --pkg-config-flags=--static
  make -j"$jobs" && make install
}

licences() {
  mkdir -p "$prefix/share/licences"
  local work
  for work in civetweb prometheus-cpp sentencepiece ffmpeg; do cp "$work/debian/copyright" "$prefix/share/licences/$work"; done
}

step() {
  local name=$1 begin=$SECONDS
  (set -e; "$name") > "logs/$name.log" 2>&1 || { echo "build-deps: $name failed:" >&2; tail -30 "logs/$name.log" >&2; exit 1; }
  echo "  $name: $((SECONDS - begin)) s" >&2
}
for name in fetch licences civetweb prometheus sentencepiece ffmpeg; do step $name; done
