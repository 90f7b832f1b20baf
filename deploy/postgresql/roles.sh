#!/bin/sh
# The image postgres runs this once, on an empty volume: one role for each part, none a superuser, and the database for `planton`, who
# migrates it. Names and passwords are those of ./secrets/DATABASE_PASSWORDS, a line each.
set -eu
passwords=${DATABASE_PASSWORDS_FILE:-/run/secrets/DATABASE_PASSWORDS}
if grep -qvE '^[a-z_]+ [0-9A-Za-z]+$' "$passwords"; then
    echo "$passwords : chaque ligne est un rôle, une espace et son mot de passe, en chiffres et en lettres." >&2
    exit 1
fi
statements=$(
    while read -r role password; do
        echo "CREATE ROLE $role LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '$password';"
    done <"$passwords"
    # The owner sees as what its parts are connected (planton doctor).
    echo "GRANT $(sed -n 's/^\(planton_[a-z]*\) .*/\1/p' "$passwords" | paste -sd, | sed 's/,/, /g') TO planton;"
    echo "ALTER DATABASE planton OWNER TO planton;"
)
echo "$statements" | psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB"
