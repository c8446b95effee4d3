# syntax=docker/dockerfile:1
# Two images from one build:
#   docker build --target server -t cogwheel-server .   frontend and client, no torch
#   docker build --target worker -t cogwheel-worker .   a host's ranks, on the CPU
# NOT YET BUILT: written beside the scripts it calls, which are tested; no container engine has run it so far.
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends git ca-certificates python3 && rm -rf /var/lib/apt/lists/*
ENV COGWHEEL_CACHE=/opt/cogwheel-cache
WORKDIR /src
COPY scripts/env.sh scripts/setup scripts/build-deps.sh scripts/
RUN scripts/setup
COPY . .
RUN scripts/build release cogwheel cogwheel-server cogwheel-worker && strip build/release/bin/cogwheel*

FROM debian:12-slim AS server
RUN useradd --system --uid 10001 --home-dir /var/lib/cogwheel --create-home cogwheel
COPY --from=build /src/build/release/bin/cogwheel /src/build/release/bin/cogwheel-server /usr/local/bin/
COPY LICENSE NOTICE /usr/share/doc/cogwheel/
USER cogwheel
VOLUME /var/lib/cogwheel
EXPOSE 50051 9090
HEALTHCHECK CMD ["cogwheel", "health"]
ENTRYPOINT ["cogwheel-server", "--data-dir", "/var/lib/cogwheel"]

FROM debian:12-slim AS worker
RUN useradd --system --uid 10001 cogwheel
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
