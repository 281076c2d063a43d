#!/usr/bin/env bash
# Asks the loopback health endpoint of this container: healthcheck.sh PORT [PATH]. Needs nothing but bash.
set -euo pipefail
port="${1:?port}" path="${2:-/healthz}"
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$path" >&3
read -r -t 4 _ status _ <&3
[ "$status" = 200 ]
