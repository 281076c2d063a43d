#!/usr/bin/env bash
# A certificate authority for one cluster, with openssl, for those who have none. Keep ca.key on an offline machine:
# whoever has it can be any gateway, operator or coordinator of the cluster (not a signer node's session key, and not an
# operator who signs policies: those are keys of their own).
#
#   deploy/pki.sh ca    CLUSTER DIR                    makes DIR/ca.key and DIR/ca.pem
#   deploy/pki.sh issue CLUSTER DIR ROLE ID OUT [DAYS] makes OUT/tls.key, OUT/tls.pem and OUT/ca.pem (90 days)
#
# ROLE is gateway, operator, approver, auditor, node or coordinator. Existing keys are never overwritten, except that
# `issue` replaces tls.key and tls.pem together, which running processes take up within a minute.
set -euo pipefail
umask 077

usage() { sed -n '2,10p' "$0" | sed 's/^# \{0,1\}//' >&2; exit 2; }
name() {
    [[ "$1" =~ ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$ ]] || { echo "$1: expected a-z, 0-9 and inner -" >&2; exit 2; }
}
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '[req]\ndistinguished_name=dn\n[dn]\n' >"$work/openssl.cnf"

case "${1:-}" in
ca)
    [ $# -eq 3 ] || usage
    cluster="$2" dir="$3"
    name "$cluster"
    mkdir -p "$dir"
    [ ! -e "$dir/ca.key" ] || { echo "$dir/ca.key exists already and is not overwritten" >&2; exit 4; }
    key "$dir/ca.key"
    openssl req -x509 -new -config "$work/openssl.cnf" -key "$dir/ca.key" -sha256 -days 3650 \
        -subj "/CN=quorate $cluster CA" -addext "subjectAltName=URI:spiffe://$cluster" \
        -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign \
        -out "$dir/ca.pem"
    chmod 644 "$dir/ca.pem"
    ;;
issue)
    [ $# -eq 6 ] || [ $# -eq 7 ] || usage
    cluster="$2" dir="$3" role="$4" id="$5" out="$6" days="${7:-90}"
    name "$cluster"
    name "$id"
    [[ "$role" =~ ^(gateway|operator|approver|auditor|node|coordinator)$ ]] || usage
    mkdir -p "$out"
    key "$work/tls.key"
    cat >"$work/extensions" <<EOF
subjectAltName=URI:spiffe://$cluster/$role/$id
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth,clientAuth
authorityKeyIdentifier=keyid
EOF
    openssl req -new -config "$work/openssl.cnf" -key "$work/tls.key" -subj "/CN=$role $id" -out "$work/request"
    openssl x509 -req -in "$work/request" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -sha256 -days "$days" \
        -set_serial "0x$(openssl rand -hex 16)" -extfile "$work/extensions" -out "$work/tls.pem" 2>/dev/null
    install -m 0644 "$dir/ca.pem" "$out/ca.pem"
    install -m 0600 "$work/tls.key" "$out/tls.key"
    install -m 0644 "$work/tls.pem" "$out/tls.pem"
    ;;
*) usage ;;
esac
