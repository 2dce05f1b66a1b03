#!/usr/bin/env bash
# vendor.sh : takes the two libraries of the page of `kipu ui`, and the one that
# judges it in tests, out of their npm packages, byte for byte, with their
# licences, and writes what they must hash to. Run it to change a version; npm
# asks the registry that it is set up for. It must never change a file.
set -euo pipefail
cd "$(dirname "$0")/../../.."

PAGE=operator/kipu/cli/ui/static/vendor
TESTS=tests/cli/ui/vendor
NEW=$(mktemp -d)
trap 'rm -rf "$NEW"' EXIT

# take PACKAGE@VERSION FOLDER FILE AS : one file of it, and its licence
take() {
  local at=$NEW/$4
  mkdir -p "$at" "$2"
  (cd "$at" && npm pack --silent "$1" >name && tar -xzf "$(cat name)")
  cp "$at/package/$3" "$2/$4"
  { printf '%s\n\n' "$1, $3"; cat "$at/package/LICENSE"; } >"$2/$4.LICENSE"
}

take cytoscape@3.35.0 "$PAGE" dist/cytoscape.esm.min.mjs cytoscape.js
take @dagrejs/dagre@3.1.3 "$PAGE" dist/dagre.esm.js dagre.js
take axe-core@4.14.1 "$TESTS" axe.min.js axe.js
for folder in "$PAGE" "$TESTS"; do
  (cd "$folder" && sha256sum ./*.js >SHA256SUMS)
done
