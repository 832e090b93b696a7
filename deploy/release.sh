#!/usr/bin/env bash
# Builds the release for one architecture and lays it out as the image has it:
#
#   deploy/release.sh OUT [amd64|arm64 [EXECUTABLE...]]
#
# OUT/hooks has the hooks and nothing else, OUT/usr/local/bin the program that is none. The same sources, lock file,
# toolchain and C compiler give the same bytes, wherever they are built: no path of the machine gets into them.
# For another architecture than this machine's it needs that one's GNU cross compiler, static C library and Rust target.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
readonly root

fail() {
    printf 'release.sh: %s\n' "$*" >&2
    exit 1
}

# Where the image has an executable. shell-operator runs all that is below /hooks, in the order of the names.
place_of() {
    case $1 in
        config-loader) printf 'hooks/000-config-loader' ;;
        controller) printf 'hooks/001-nodeguardian-controller' ;;
        alert-manager) printf 'hooks/002-alert-manager' ;;
        recovery-manager) printf 'hooks/003-recovery-manager' ;;
        node-monitor) printf 'hooks/004-node-monitor' ;;
        replay) printf 'usr/local/bin/nodeguardian-replay' ;;
        *) fail "no executable of the release: $1" ;;
    esac
}

[ $# -ge 1 ] || fail 'usage: deploy/release.sh OUT [amd64|arm64 [EXECUTABLE...]]'
case ${2:-$(uname -m)} in
    amd64 | x86_64) cpu=x86_64 ;;
    arm64 | aarch64) cpu=aarch64 ;;
    *) fail "no architecture that the release is built for: ${2:-$(uname -m)}; it is amd64 or arm64" ;;
esac
readonly target=$cpu-unknown-linux-gnu compiler=$cpu-linux-gnu-gcc

all=(config-loader controller alert-manager recovery-manager node-monitor replay)
names=("${@:3}")
[ ${#names[@]} -gt 0 ] || names=("${all[@]}")
# Every package is named whichever executables are built: cargo unites the features that they ask for of a dependency,
# so that an executable that is built alone would be another one.
arguments=("${all[@]/#/--package=ng-}")
for name in "${names[@]}"; do
    place_of "$name" >/dev/null
    arguments+=("--bin=$name")
done

mkdir -p "$1"
out=$(cd "$1" && pwd -P)
cd "$root"

if [ "$cpu" != "$(uname -m)" ]; then
    command -v "$compiler" >/dev/null || fail "no $compiler; Debian has it in gcc-${cpu/_/-}-linux-gnu"
    upper=$(printf '%s' "${target//-/_}" | tr '[:lower:]' '[:upper:]')
    export "CARGO_TARGET_${upper}_LINKER=$compiler" "CC_${target//-/_}=$compiler"
fi

cargo_home=${CARGO_HOME:-$HOME/.cargo}
# Added to the flags of .cargo/config.toml, which RUSTFLAGS would replace.
# Of two that fit the last one counts, and cargo's home may lie in the folder of the sources.
remaps="\"--remap-path-prefix=$root=/nodeguardian\", \"--remap-path-prefix=$cargo_home=/cargo\""
cargo build --release --locked --target "$target" --config "target.$target.rustflags = [$remaps]" "${arguments[@]}"

rm -rf "${out:?}/hooks" "${out:?}/usr"
for name in "${names[@]}"; do
    install -D -m 0555 "${CARGO_TARGET_DIR:-target}/$target/release/$name" "$out/$(place_of "$name")"
done
