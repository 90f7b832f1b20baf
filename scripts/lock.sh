#!/bin/sh
# Renews the lock files from requirements/*.in. No index line: whoever installs chooses where packages come from.
set -eu
cd "$(dirname "$0")/.."
uv=$(sh scripts/uv.sh)
for pair in app:3.13 dev:3.13 engine:3.10 audit:3.13; do
    name=${pair%%:*}
    "$uv" pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
        --python-version "${pair##*:}" --output-file "requirements/$name.txt" "requirements/$name.in"
done
