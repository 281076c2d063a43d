#!/usr/bin/env bash
# cargo-deny over the locked dependency graph. Bans, licences and sources always block. Advisories block wherever the
# RustSec database can be fetched; on a machine that cannot reach it this says so, loudly, and goes on.
set -euo pipefail

version="${CARGO_DENY_VERSION:?set by the Makefile}"
if ! cargo deny --version 2>/dev/null | grep -qF "$version"; then
    cargo install cargo-deny --version "$version" --locked --quiet
fi

cargo deny --all-features --locked check bans licenses sources

if timeout 120 cargo deny --all-features fetch db >/dev/null 2>&1; then
    cargo deny --all-features --locked check advisories
else
    echo "WARNING: the RustSec advisory database cannot be reached from here: advisories were NOT checked." >&2
fi
