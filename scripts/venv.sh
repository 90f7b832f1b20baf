#!/bin/sh
# venv.sh DOSSIER VERSION VERROU: an environment that holds exactly what the lock file says.
set -eu
cd "$(dirname "$0")/.."
folder=$1
version=$2
lock=$3
uv=$(sh scripts/uv.sh)
export UV_NO_PROGRESS=1

if [ "$("$folder/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true)" != "$version" ]; then
    rm -rf "$folder"
    if ! said=$("$uv" venv --quiet --no-project --python "$version" "$folder" 2>&1); then
        printf '%s\n' "$said" | tail -n 2 >&2
        echo "Il manque Python $version (ni ici, ni téléchargeable). Faites : pyenv install $version (ou apt install python$version), puis relancez." >&2
        exit 1
    fi
fi
echo "Installation dans $folder (Python $version)…"
if ! said=$(VIRTUAL_ENV=$folder "$uv" pip sync --quiet --python "$folder/bin/python" --require-hashes --compile-bytecode "$lock" 2>&1); then
    printf '%s\n' "$said" | tail -n 12 >&2
    echo "L’installation de $lock a échoué (ci-dessus). Vérifiez l’accès au réseau et l’espace disque, puis relancez." >&2
    exit 1
fi
