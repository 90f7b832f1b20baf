#!/bin/sh
# Sees to it that bubblewrap is there, which walls off the engines of the workbench: from Debian when we are root.
set -eu

if command -v bwrap >/dev/null 2>&1; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    if said=$(apt-get update 2>&1 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends bubblewrap 2>&1) && command -v bwrap >/dev/null 2>&1; then
        exit 0
    fi
    printf '%s\n' "${said:-}" | tail -n 3 >&2
fi
echo "Il manque bubblewrap pour les tests des moteurs isolés. Faites : apt install bubblewrap" >&2
exit 1
