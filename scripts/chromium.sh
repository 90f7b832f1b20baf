#!/bin/sh
# Prints the path of a Chromium: on PATH, else Playwright's own, else from Debian when we are root. The headless shell draws no
# window of its own, which saves a quarter of the processor time of a page's test.
set -eu
cd "$(dirname "$0")/.."

on_path() {
    for name in chromium-headless-shell chromium chromium-browser google-chrome google-chrome-stable; do
        if command -v "$name" 2>/dev/null; then return 0; fi
    done
    return 1
}

if on_path; then exit 0; fi
for browser in "${PLAYWRIGHT_BROWSERS_PATH:-$HOME/.cache/ms-playwright}"/chromium*-*/chrome-*linux*/*; do
    case "$browser" in
        */chrome | */headless_shell | */chrome-headless-shell) if [ -x "$browser" ]; then echo "$browser"; exit 0; fi ;;
    esac
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    install() { DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$1" 2>&1; }
    if said=$(apt-get update 2>&1 && { install chromium-headless-shell || install chromium; }) && on_path; then
        exit 0
    fi
    printf '%s\n' "${said:-}" | tail -n 3 >&2
fi
echo "Il manque Chromium pour les tests des pages. Faites : apt install chromium (ou .venv/bin/playwright install chromium)" >&2
exit 1
