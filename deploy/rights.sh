#!/bin/sh
# rights.sh: who may write what. For root, after each installation and each update.
#
# The program, /opt/planton, is root's alone, its folder as well: every role imports from there, and root runs make and git there. The
# trainers' files are a clone of their own, /srv/planton, which holds nothing that anybody imports or executes: it alone is the console's
# and the trainer's. What is right already is left alone.
set -eu
umask 022
cd "$(dirname "$0")/.."
account=planton-console
files=${PLANTON_PROJECT_DIR:-/srv/planton}

stop() {
    echo "rights.sh : $1" >&2
    exit 2
}

# Whoever wrote in this folder may have left a hook, a filter or a module in it that root would execute.
! stat --format '%U %G' . .git | grep -qwF "$account" ||
    stop "$PWD était ouvert à $account : refaites-le à neuf (docs/exploitation.md, « Mettre à jour », « Fichiers des formateurs à part »)."

# -- the program -----------------------------------------------------------------------------------------------------

chown root:root .
chmod 755 .
# What a trial or the containers keep there is nobody's to read, and no program.
program() { find . \( -path ./var -o -path ./deploy/secrets -o -path ./deploy/certificates -o -path ./deploy/backups -o -path ./deploy/.env \) -prune -o "$@"; }
program \( ! -user root -o ! -group root \) -exec chown --no-dereference root:root {} +
program ! -type l -perm /022 -exec chmod go-w {} +
program -type d ! -perm -055 -exec chmod go+rx {} +
program -type f ! -perm -044 -exec chmod go+r {} +
program -type f -perm -100 ! -perm -011 -exec chmod go+x {} +
# The trainers' clone takes new versions from here: its account may read a repository of root's.
git config --system --get-all safe.directory 2>/dev/null | grep -qxF "$PWD/.git" || git config --system --add safe.directory "$PWD/.git"

# -- the trainers' files ---------------------------------------------------------------------------------------------

# Once: afterwards root runs nothing in there.
if [ ! -e "$files/.git" ]; then
    [ ! -e "$files" ] || rmdir "$files" 2>/dev/null || stop "$files existe et n’est pas le dépôt des formateurs : déplacez-le, puis relancez."
    new=$files.new
    rm -rf "$new"
    # --no-hardlinks: what is theirs must not be a name of what is root's.
    git clone --quiet --no-hardlinks --no-checkout . "$new"
    git -C "$new" sparse-checkout set --no-cone /.gitattributes /.gitignore /config.yml /domain.yml /endpoints.yml /credentials.yml \
        /data/ /docs/guide-formateur.md /tests/gold/ /tests/engine/conversations/
    git -C "$new" checkout --quiet
    if origin=$(git config --get remote.origin.url); then git -C "$new" remote set-url origin "$origin"; else git -C "$new" remote remove origin; fi
    git -C "$new" config user.name Planton
    git -C "$new" config user.email atelier@planton.invalid
    git -C "$new" config merge.planton-nlu.driver "'$PWD/.venv/bin/planton' _merge-nlu %O %A %B"
    if [ -d models ]; then cp -a models "$new/models"; else mkdir "$new/models"; fi
    chown -R "$account:$account" "$new"
    mv -T "$new" "$files"
    rm -rf models  # only now: until here it may be the only copy
fi
