# syntax=docker/dockerfile:1
# Two stages: build with the toolchain the workspace is pinned to, run on a small Debian without it.

FROM rust:1.95-bookworm AS build
# librdkafka is built from its sources with gcc, make and zlib; the base image has them.
WORKDIR /src
COPY . .
# The cache mounts keep registry and target directory between builds, so the binary is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package rtsap-server --bin rtsap \
    && install -D --mode=0755 target/release/rtsap /out/rtsap

FROM debian:bookworm-slim AS runtime
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 65532 rtsap \
    && useradd --uid 65532 --gid 65532 --no-create-home --home-dir /var/lib/rtsap \
        --shell /usr/sbin/nologin rtsap \
    && install -d --owner=65532 --group=65532 --mode=0750 /var/lib/rtsap
COPY --from=build /out/rtsap /usr/local/bin/rtsap
COPY LICENSE /usr/share/doc/rtsap/LICENSE
USER 65532:65532
WORKDIR /var/lib/rtsap
VOLUME ["/var/lib/rtsap"]
EXPOSE 5433 8815 8090
# The server listens on loopback unless told otherwise, and refuses other addresses without TLS and
# authentication; publishing its ports takes a configuration that allows it. See docs/operations.md.
ENTRYPOINT ["/usr/local/bin/rtsap"]
CMD ["serve", "--data-dir", "/var/lib/rtsap"]
STOPSIGNAL SIGTERM
