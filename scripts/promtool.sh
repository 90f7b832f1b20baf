#!/bin/sh
# Sees to it that promtool is there, which checks metrics, alert rules and the dashboard's queries: from Debian when we are root.
set -eu

if command -v promtool >/dev/null 2>&1; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    # Debian has it in the package of Prometheus itself, whose service is not to start because of that.
    if said=$(apt-get update 2>&1 && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends prometheus 2>&1) && command -v promtool >/dev/null 2>&1; then
        exit 0
    fi
    printf '%s\n' "${said:-}" | tail -n 3 >&2
fi
echo "Il manque promtool pour les tests des mesures et des alertes. Faites : apt install prometheus" >&2
exit 1
