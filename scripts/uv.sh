#!/bin/sh
# Prints the path of uv; brings it into .tools from PyPI when it is missing.
set -eu
cd "$(dirname "$0")/.."

if command -v uv >/dev/null 2>&1; then
    command -v uv
    exit 0
fi
if [ ! -x .tools/bin/uv ]; then
    if ! command -v python3 >/dev/null 2>&1; then
        echo "Il manque python3. Faites : apt install python3 python3-pip" >&2
        exit 1
    fi
    if ! python3 -m pip --version >/dev/null 2>&1; then
        echo "Il manque pip pour $(command -v python3). Faites : apt install python3-pip" >&2
        exit 1
    fi
    echo "Installation de uv dans .tools…" >&2
    if ! said=$(python3 -m pip install --quiet --disable-pip-version-check --target .tools --upgrade uv 2>&1); then
        printf '%s\n' "$said" | tail -n 3 >&2
        echo "uv ne s’installe pas. Vérifiez l’accès au réseau, ou installez uv vous-même, puis relancez." >&2
        exit 1
    fi
fi
echo "$PWD/.tools/bin/uv"
