# Builds the executables and puts them where shell-operator finds its hooks:
#   docker build -t nodeguardian .

FROM rust:1.95.0-bookworm AS build
# The image's own toolchain, so that rustup does not fetch the lint components of rust-toolchain.toml.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY config config
COPY crates crates
COPY hooks hooks
COPY tests tests
RUN cargo build --release --locked \
        -p ng-config-loader -p ng-controller -p ng-alert-manager -p ng-recovery-manager -p ng-node-monitor -p ng-replay \
    && mkdir /out \
    && cp target/*/release/config-loader target/*/release/controller target/*/release/alert-manager \
        target/*/release/recovery-manager target/*/release/node-monitor target/*/release/replay /out/

# shell-operator finds every executable below /hooks and runs it with --config, in the order of the names. What is
# not a hook must not be there.
FROM ghcr.io/flant/shell-operator:v1.20.3
COPY --from=build /out/config-loader /hooks/000-config-loader
COPY --from=build /out/controller /hooks/001-nodeguardian-controller
COPY --from=build /out/alert-manager /hooks/002-alert-manager
COPY --from=build /out/recovery-manager /hooks/003-recovery-manager
COPY --from=build /out/node-monitor /hooks/004-node-monitor
COPY --from=build /out/replay /usr/local/bin/nodeguardian-replay
# The only place that keeps anything; a new volume there belongs to the user below.
RUN mkdir -p /var/lib/nodeguardian && chown 65532:65532 /var/lib/nodeguardian
VOLUME /var/lib/nodeguardian
# The default socket would be in a folder that only root can make.
ENV DEBUG_UNIX_SOCKET=/tmp/shell-operator.socket
USER 65532:65532
