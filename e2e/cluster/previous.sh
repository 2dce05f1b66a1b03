#!/usr/bin/env bash
# previous.sh : the tree of the release before this one, taken out of this clone's
# git by the commit that e2e/previous names, once. Prints its folder, which is the
# KIPU_TREE of image.sh and install.sh. It must never take another commit instead.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"
lock previous

COMMIT=$(cat "$REPO/e2e/previous")
case $COMMIT in *[!0-9a-f]* | '') die "e2e/previous holds no commit: $COMMIT" "write the full hash of the last release" ;; esac
TREE=$CACHE/previous/$COMMIT/tree
if [ ! -d "$TREE" ]; then
  git -C "$REPO" cat-file -e "$COMMIT^{commit}" 2>/dev/null ||
    die "the previous release, commit $COMMIT of e2e/previous, is not in this clone" "a shallow clone? git fetch --unshallow"
  rm -rf "$TREE.new"
  mkdir -p "$TREE.new"
  git -C "$REPO" archive "$COMMIT" | tar -xf - -C "$TREE.new"
  mv -T "$TREE.new" "$TREE"
fi
prune previous "$COMMIT"
echo "$TREE"
