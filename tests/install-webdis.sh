#!/usr/bin/env bash
# Installs Debian's Webdis, the bridge between Envoy and Valkey, unless there is one.
set -euo pipefail
command -v webdis >/dev/null && exit
fail() { echo "webdis is missing: $1" >&2; exit 1; }
command -v apt-get >/dev/null || fail "install it (https://github.com/nicolasff/webdis); there is no apt-get here to do it"
root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "run as root: apt-get install webdis"
    root=(sudo)
fi
echo "Installing Debian's package webdis" >&2
"${root[@]}" apt-get update -qq >/dev/null || fail "apt-get update failed: is the network missing?"
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends webdis >/dev/null ||
    fail "apt-get could not install it"
