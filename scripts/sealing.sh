#!/bin/sh
# Sees to it that age and GnuPG are there, with which back-ups are encrypted: from Debian when we are root.
set -eu

missing=""
command -v age >/dev/null 2>&1 && command -v age-keygen >/dev/null 2>&1 || missing="age"
command -v gpg >/dev/null 2>&1 && command -v gpgconf >/dev/null 2>&1 && command -v gpg-agent >/dev/null 2>&1 || missing="$missing gnupg"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    # shellcheck disable=SC2086
    if said=$(apt-get update 2>&1 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing 2>&1); then
        exit 0
    fi
    printf '%s\n' "${said:-}" | tail -n 3 >&2
fi
echo "Il manque$(printf ' %s' $missing) pour les tests des sauvegardes. Faites : apt install age gnupg" >&2
exit 1
