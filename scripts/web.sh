#!/bin/sh
# Brings what pages load into bot/web/vendor, by the npm that a Python wheel holds, as package-lock.json says.
set -eu
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"

echo "Installation des fichiers des pages (npm)…"
if ! said=$(npm ci --ignore-scripts --no-audit --no-fund --loglevel=error 2>&1); then
    printf '%s\n' "$said" | tail -n 5 >&2
    echo "npm ci a échoué (ci-dessus). Vérifiez l’accès au réseau, puis relancez." >&2
    exit 1
fi
mkdir -p bot/web/vendor
cp node_modules/htmx.org/dist/htmx.min.js node_modules/htmx.org/dist/ext/hx-sse.min.js bot/web/vendor/
cp node_modules/@picocss/pico/css/pico.min.css bot/web/vendor/
