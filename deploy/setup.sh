#!/usr/bin/env bash
# Installs the system packages that building and testing need and do not find. Says what it does; asks for sudo only then.
set -euo pipefail

command -v cargo >/dev/null || { echo "Rust is missing: see https://rustup.rs" >&2; exit 1; }

wanted=()
command -v m4 >/dev/null || wanted+=(m4)
command -v cc >/dev/null || wanted+=(gcc libc6-dev)
command -v make >/dev/null || wanted+=(make)
command -v ssh-keygen >/dev/null || wanted+=(openssh-client)
[ "${#wanted[@]}" -eq 0 ] && exit 0

echo "installing ${wanted[*]} (GMP, the big-integer library, is built from source; tests sign with OpenSSH)"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "not root and no sudo: install ${wanted[*]} yourself" >&2; exit 1; }
    as_root=(sudo)
fi
command -v apt-get >/dev/null || { echo "no apt-get here: install ${wanted[*]} yourself" >&2; exit 1; }
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null
