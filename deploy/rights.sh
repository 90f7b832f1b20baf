#!/bin/sh
# rights.sh: who may write what in /opt/planton. For root, after each installation and each update.
#
# The program belongs to root. What trainers edit, the models and git's record belong to the console and the trainer. The folder itself
# is sticky: they may replace their own files in it (domain.yml, config.yml), and nobody else's.
set -eu
cd "$(dirname "$0")/.."
owner=planton-console

git config --system --get-all safe.directory 2>/dev/null | grep -qxF "$PWD" || git config --system --add safe.directory "$PWD"
mkdir -p models
chown -R root:root .
chown -R "$owner:$owner" .git data models config.yml domain.yml
chmod -R go-w,go+rX .
chown root:"$owner" .
chmod 1775 .
