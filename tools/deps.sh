#!/bin/sh
# Installs what is missing from Debian's (or Ubuntu's) packages: deps.sh build [test] [fuzz] [dev].
# As root or with sudo; elsewhere it names what is missing. Nothing is touched when all is there.
set -eu

packages=
for set in "$@"; do
    case $set in
    build) packages="$packages gcc libc6-dev cmake ninja-build pkg-config libjpeg62-turbo-dev libpng-dev zlib1g-dev libwebp-dev libutf8proc-dev libssl-dev libcurl4-openssl-dev" ;;
    test) packages="$packages libcmocka-dev libsimde-dev g++ gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user valgrind" ;;
    fuzz) packages="$packages clang libclang-rt-14-dev llvm" ;;
    dev) packages="$packages python3 python3-venv" ;;
    *) echo "deps.sh: unknown set: $set" >&2; exit 2 ;;
    esac
done

if ! command -v dpkg-query >/dev/null 2>&1; then
    # Not Debian: the configure step says what it does not find.
    exit 0
fi
missing=
for p in $packages; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || { echo "deps.sh: missing packages, and neither root nor sudo to install them:$missing" >&2; exit 1; }
    sudo=sudo
fi
echo "installing:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086
if ! { $sudo apt-get update && $sudo apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
