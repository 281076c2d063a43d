#!/usr/bin/env bash
# The monthly drill, rehearsed by machine: a cluster of processes is made, with a wallet; its nodes' files are carried to
# an empty directory; agent and cold prove that they still control the address; the cluster takes the certificate and the
# signed transcript on record. Nothing of a running cluster is touched.
#   deploy/drill.sh DIRECTORY-OF-PROGRAMS
# The programs need the dev primes: a rehearsal cannot wait for real ones. docs/ceremony.md is the drill that people hold.
set -euo pipefail

bin=$(cd "${1:?directory of quorate and quorate-node}" && pwd)
place=$(mktemp -d)
cluster=$place/cluster
offline=$place/offline
quorate() { "$bin/quorate" --dir "$cluster" "$@"; }
clean() { quorate dev down --wipe >/dev/null 2>&1 || true; rm -rf "$place"; }
trap clean EXIT

mkdir "$offline"
quorate dev init
quorate dev up
quorate group enrol main
quorate wallet create --wallet drill --agent drill --group main

# Carried out: two nodes' sealed files, the signed manifest, the operator's key from somebody's own records.
quorate dev down
"$bin/quorate-node" backup --config "$cluster/machines/agent-1/config.yaml" --out "$offline/agent"
cp -r "$cluster/machines/cold-1/export" "$offline/cold"
cp "$cluster/manifest.yaml" "$cluster/manifest.yaml.sig" "$cluster/keys/operator.pub" "$cluster/recovery/identity.txt" "$offline"
cp "$cluster/keys/operator" "$offline/operator.key"

(
    cd "$offline"
    recover() { "$bin/quorate" recover "$@"; }
    trust=(--manifest manifest.yaml --manifest-signature manifest.yaml.sig --root operator.pub)
    files=("${trust[@]}" --package agent --package cold --identity identity.txt --wallet drill)
    recover verify "${files[@]}"
    recover drill "${files[@]}" --out drill.json
    recover sign-transcript ceremony.jsonl --key operator.key
    recover transcript --file ceremony.jsonl "${trust[@]}"
)

quorate dev up
quorate ceremony drill "$offline/drill.json"
quorate ceremony transcript "$offline/ceremony.jsonl"
quorate wallet show drill
quorate --json wallet show drill | grep -q '"drilled_at_ms":[1-9]'
echo "DRILL HELD: agent and cold signed, and it is on the cluster's record"
