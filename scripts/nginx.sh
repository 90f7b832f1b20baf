#!/bin/sh
# Prints the path of nginx, with which the files of deploy/nginx are tried: from Debian when we are root.
set -eu
PATH=$PATH:/usr/sbin

if command -v nginx 2>/dev/null; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    # Its service is not to start because of that.
    if said=$(apt-get update 2>&1 && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends nginx-light 2>&1) && command -v nginx; then
        exit 0
    fi
    printf '%s\n' "${said:-}" | tail -n 3 >&2
fi
echo "Il manque nginx pour les tests de deploy/nginx. Faites : apt install nginx-light" >&2
exit 1
