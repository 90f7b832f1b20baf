#!/bin/sh
# rights.sh: who may write what in /opt/planton. For root, after each installation and each update.
#
# The program belongs to root. What trainers edit, the models and git's record belong to the console and the trainer. The folder itself
# is sticky: they may replace their own files in it (domain.yml, config.yml), and nobody else's. What is right already is left alone.
set -eu
cd "$(dirname "$0")/.."
owner=planton-console

git config --system --get-all safe.directory 2>/dev/null | grep -qxF "$PWD" || git config --system --add safe.directory "$PWD"
mkdir -p models
chmod 755 .
find . \( -path ./.git -o -path ./data -o -path ./models \) -prune -o \( ! -user root -o ! -group root \) -exec chown --no-dereference root:root {} +
chown -R "$owner:$owner" .git data models config.yml domain.yml
find . ! -type l -perm /022 -exec chmod go-w {} +
find . -type d ! -perm -055 -exec chmod go+rx {} +
find . -type f ! -perm -044 -exec chmod go+r {} +
find . -type f -perm -100 ! -perm -011 -exec chmod go+x {} +
chown root:"$owner" .
chmod 1775 .
