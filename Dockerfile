# check=error=true
# NodeGuardian in two forms, each for amd64 and arm64:
#
#   docker build -t nodeguardian:0.1.0 .                      on the official shell-operator image, with its shell
#   docker build -t nodeguardian:0.1.0 --target minimal .     on nothing: no shell, no package manager, no libraries
#   docker buildx build --platform linux/amd64,linux/arm64 .  both platforms, compiled on the builder's own
#
# Bases are named by tag. Pin them by what you have checked:
#   --build-arg SHELL_OPERATOR=ghcr.io/flant/shell-operator:v1.20.3@sha256:...
ARG RUST=docker.io/library/rust:1.95.0-bookworm
ARG GO=docker.io/library/golang:1.26-bookworm
ARG SHELL_OPERATOR=ghcr.io/flant/shell-operator:v1.20.3

FROM --platform=$BUILDPLATFORM ${RUST} AS build
ARG TARGETARCH
# The image's own toolchain, so that rustup does not fetch the lint components of rust-toolchain.toml.
ENV RUSTUP_TOOLCHAIN=1.95.0
# A compiler for the other architecture, if the image is for that one.
RUN set -eu; \
    case "$TARGETARCH" in \
        amd64) cpu=x86_64; cross="gcc-x86-64-linux-gnu libc6-dev-amd64-cross" ;; \
        arm64) cpu=aarch64; cross="gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;; \
        *) echo "no image for $TARGETARCH" >&2; exit 1 ;; \
    esac; \
    if [ "$(uname -m)" != "$cpu" ]; then \
        apt-get update; \
        apt-get install -y --no-install-recommends $cross; \
        rm -rf /var/lib/apt/lists/*; \
        rustup target add "$cpu-unknown-linux-gnu"; \
    fi
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY config config
COPY crates crates
COPY hooks hooks
COPY tests tests
COPY deploy/release.sh deploy/release.sh
RUN deploy/release.sh /out "$TARGETARCH"
# The only place that keeps anything, and the one for short-lived files. Both lie below the folder that is copied:
# of that itself neither mode nor owner would be.
RUN install -d -m 0700 -o 65532 -g 65532 /empty/var/lib/nodeguardian && install -d -m 1777 /empty/tmp

# shell-operator from its module, as pinned and used by the tests, without C: it needs nothing of a system.
FROM --platform=$BUILDPLATFORM ${GO} AS shell-operator
ARG TARGETARCH
WORKDIR /src
COPY tests/tools/shell-operator ./
RUN version=$(go list -m -f '{{.Version}}' github.com/flant/shell-operator) \
    && CGO_ENABLED=0 GOARCH="$TARGETARCH" go build -mod=readonly -trimpath \
        -ldflags "-s -w -X github.com/flant/shell-operator/pkg/app.Version=$version" \
        -o /out/shell-operator github.com/flant/shell-operator/cmd/shell-operator

# What both forms have besides shell-operator.
FROM scratch AS nodeguardian
COPY --from=build /out/ /
COPY LICENSE sbom.cdx.json /usr/share/doc/nodeguardian/

FROM scratch AS minimal
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="NodeGuardian" \
    org.opencontainers.image.description="Watches the nodes of a Kubernetes cluster and heals them by rules" \
    org.opencontainers.image.source="https://github.com/seanly/NodeGuardian" \
    org.opencontainers.image.documentation="https://github.com/seanly/NodeGuardian/tree/main/docs" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION" \
    org.opencontainers.image.base.name="scratch"
COPY --from=nodeguardian / /
COPY --from=shell-operator --chmod=0555 /out/shell-operator /usr/local/bin/shell-operator
COPY --from=build /empty/ /
VOLUME /var/lib/nodeguardian
ENV PATH=/usr/local/bin \
    HOME=/tmp \
    SHELL_OPERATOR_HOOKS_DIR=/hooks \
    DEBUG_UNIX_SOCKET=/tmp/shell-operator.socket
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/shell-operator"]
CMD ["start"]

# The last stage is the one that is built when none is named.
FROM ${SHELL_OPERATOR} AS official
ARG SHELL_OPERATOR
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="NodeGuardian" \
    org.opencontainers.image.description="Watches the nodes of a Kubernetes cluster and heals them by rules" \
    org.opencontainers.image.source="https://github.com/seanly/NodeGuardian" \
    org.opencontainers.image.documentation="https://github.com/seanly/NodeGuardian/tree/main/docs" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION" \
    org.opencontainers.image.base.name="$SHELL_OPERATOR"
COPY --from=nodeguardian / /
COPY --from=build /empty/ /
VOLUME /var/lib/nodeguardian
# The default socket would be in a folder that only root can make; shell-operator itself lies at /.
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/ \
    DEBUG_UNIX_SOCKET=/tmp/shell-operator.socket
USER 65532:65532
