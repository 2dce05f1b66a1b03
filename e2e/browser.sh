#!/usr/bin/env bash
# browser.sh : unpacks a headless Chromium and the libraries that this machine
# lacks, from Debian's packages, into the cache folder, and prints the path of
# its program. Nothing is installed and root is not needed. It must never fetch
# what stands already and still runs.
set -euo pipefail
# shellcheck source=cluster/lib.sh
source "$(dirname "$0")/cluster/lib.sh"
lock browser

# The version is that of the machine's Debian suite, as with all packages here.
PACKAGES=(chromium-headless-shell fonts-dejavu-core)

# libraries ROOT : the folders below it that hold any, joined by colons
libraries() {
  find "$1" -name '*.so*' ! -path '*/chromium/*' -printf '%h\n' | sort -u | paste -sd:
}

# write_program ROOT : the script that starts the browser with what was unpacked
write_program() {
  cat >"$1/fonts.conf" <<XML
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>/usr/share/fonts</dir><dir>$2/usr/share/fonts</dir><cachedir>$2/fontcache</cachedir>
  <alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
  <match><edit name="family" mode="append_last"><string>DejaVu Sans</string></edit></match>
</fontconfig>
XML
  cat >"$1/chromium" <<SH
#!/bin/sh
export LD_LIBRARY_PATH='$(libraries "$1" | sed "s|$1|$2|g")' FONTCONFIG_FILE='$2/fonts.conf'
exec '$2/usr/lib/chromium/chromium-headless-shell' "\$@"
SH
  chmod +x "$1/chromium"
}

runs() { "$1/chromium" --version >/dev/null 2>&1; }

# fetch FOLDER : the packages and what they need that is not installed here
fetch() {
  mkdir -p "$1/partial"
  apt-get -qq -y -o Dir::Cache::archives="$1" -o Debug::NoLocking=1 -o APT::Sandbox::User= \
    --reinstall --no-install-recommends --download-only install "${PACKAGES[@]}" >&2
}

command -v apt-get >/dev/null || die "the browser is made of Debian's packages, and there is no apt-get here" \
  "set KIPU_BROWSER to a Chromium of your own"
KEY=$(key "$REPO/e2e/browser.sh" "=$(dpkg --print-architecture) $(cat /etc/debian_version)")
OUT=$CACHE/browser/$KEY
if ! runs "$OUT"; then
  NEW=$OUT.new
  rm -rf "$OUT" "$NEW"
  mkdir -p "$NEW/root"
  say "fetching a headless Chromium: 100 MB"
  # the package lists are old or absent: once more with new ones
  fetch "$NEW/archives" || { apt-get update -qq >&2 || true; fetch "$NEW/archives"; } ||
    die "the packages of the browser could not be had: ${PACKAGES[*]}" "see the lines above"
  for deb in "$NEW"/archives/*.deb; do dpkg -x "$deb" "$NEW/root"; done
  rm -rf "$NEW/archives" "$NEW"/root/usr/share/{doc,man,locale,lintian}
  write_program "$NEW/root" "$OUT"
  mv -T "$NEW/root" "$OUT"
  rm -rf "$NEW"
  runs "$OUT" || die "the browser does not start: $OUT/chromium" "$("$OUT/chromium" --version 2>&1 | head -1)"
fi
prune browser "$KEY"
echo "$OUT/chromium"
