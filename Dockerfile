# syntax=docker/dockerfile:1
# Three images from one build; docs/install.md has the commands:
#   server        frontend and client, no torch
#   worker        a host's ranks, on the CPU
#   worker-cuda   the same on NVIDIA GPUs
# Packages to build with are those of scripts/setup alone; what runs needs a bare Debian 12.
FROM debian:12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends git ca-certificates python3 && rm -rf /var/lib/apt/lists/*
ENV COGWHEEL_CACHE=/opt/cogwheel-cache
WORKDIR /src
COPY scripts/env.sh scripts/setup scripts/build-deps.sh scripts/example-tools scripts/
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
COPY --from=build /src/build/release/lib/cogwheel/ /usr/local/lib/cogwheel/
COPY models/shapes /usr/local/share/cogwheel/models/shapes
COPY LICENSE NOTICE /usr/share/doc/cogwheel/
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
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER cogwheel
ENTRYPOINT ["cogwheel-worker"]
COPY --from=build-cuda /src/build/cuda/lib/cogwheel/ /usr/local/lib/cogwheel/
