# syntax=docker/dockerfile:1
# Three images from one build:
#   docker build --target server -t cogwheel-server:0.1.0 .   frontend and client, no torch
#   docker build --target worker -t cogwheel-worker:0.1.0 .   a host's ranks, on the CPU
#   docker build --target worker-cuda -t cogwheel-worker-cuda:0.1.0 .   the same on NVIDIA GPUs
# All were built by buildah 1.28 on a Debian 12 base made by debootstrap, in 11 and 8 minutes on 2 cores, and made clips on the CPU.
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends git ca-certificates python3 && rm -rf /var/lib/apt/lists/*
ENV COGWHEEL_CACHE=/opt/cogwheel-cache
WORKDIR /src
COPY scripts/env.sh scripts/setup scripts/build-deps.sh scripts/
RUN scripts/setup
COPY . .
RUN scripts/build release cogwheel cogwheel-server cogwheel-worker && strip build/release/bin/cogwheel*

FROM debian:12-slim AS server
RUN useradd --uid 10001 --home-dir /var/lib/cogwheel --create-home cogwheel
COPY --from=build /src/build/release/bin/cogwheel /src/build/release/bin/cogwheel-server /usr/local/bin/
COPY LICENSE NOTICE /usr/share/doc/cogwheel/
USER cogwheel
VOLUME /var/lib/cogwheel
EXPOSE 50051 9090
HEALTHCHECK CMD ["cogwheel", "health"]
ENTRYPOINT ["cogwheel-server", "--data-dir", "/var/lib/cogwheel"]

FROM debian:12-slim AS worker
RUN useradd --uid 10001 --no-create-home cogwheel
COPY --from=build /src/build/release/bin/cogwheel-worker /usr/local/bin/
# libtorch_cpu.so needs its own libgomp, libc10, and the CUDA runtime and CUPTI even on a machine without a GPU.
COPY --from=build /opt/cogwheel-cache/site/torch/lib/libc10.so /opt/cogwheel-cache/site/torch/lib/libtorch_cpu.so \
  /opt/cogwheel-cache/site/torch/lib/libgomp.so.1 /usr/local/lib/cogwheel/
COPY --from=build /opt/cogwheel-cache/site/nvidia/cu13/lib/libcudart.so.13 \
  /opt/cogwheel-cache/site/nvidia/cu13/lib/libcupti.so.13 /usr/local/lib/cogwheel/
COPY models/shapes /usr/local/share/cogwheel/models/shapes
COPY LICENSE NOTICE /usr/share/doc/cogwheel/
ENV LD_LIBRARY_PATH=/usr/local/lib/cogwheel
USER cogwheel
ENTRYPOINT ["cogwheel-worker"]
CMD ["--model", "/usr/local/share/cogwheel/models/shapes"]

FROM build AS build-cuda
RUN scripts/setup --cuda && scripts/build --cuda cogwheel-worker && strip build/cuda/bin/cogwheel-worker

FROM debian:12-slim AS worker-cuda
RUN useradd --uid 10001 --no-create-home cogwheel
COPY --from=build-cuda /src/build/cuda/bin/cogwheel-worker /usr/local/bin/
COPY LICENSE NOTICE /usr/share/doc/cogwheel/
# For NVIDIA's container runtime, which brings the driver's libraries.
ENV LD_LIBRARY_PATH=/usr/local/lib/cogwheel NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER cogwheel
ENTRYPOINT ["cogwheel-worker"]
COPY --from=build-cuda /opt/cogwheel-cache/site/torch/lib/*.so* /opt/cogwheel-cache/cuda/nvidia/cu13/lib/*.so.* \
  /opt/cogwheel-cache/cuda/nvidia/cudnn/lib/*.so.* /opt/cogwheel-cache/cuda/nvidia/cusparselt/lib/*.so.* \
  /opt/cogwheel-cache/cuda/nvidia/nccl/lib/*.so.* /opt/cogwheel-cache/cuda/nvidia/nvshmem/lib/*.so.* /usr/local/lib/cogwheel/
