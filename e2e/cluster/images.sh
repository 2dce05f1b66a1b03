#!/usr/bin/env bash
# images.sh BUILD-FOLDER : packs the images that a local cluster is given, since
# it has no registry, and prints their folder: pause, the root of every pod, and
# Debian's static busybox, under the name by which any cluster would know one:
# docker.io/library/busybox:1.36. It must never pull anything.
set -euo pipefail
# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"

need busybox=busybox-static
BUSYBOX=$(command -v busybox)
# a shared one would find no libraries in its image
if head -c 4096 "$BUSYBOX" | grep -q 'ld-linux'; then
  die "$BUSYBOX is not static" "Debian: apt-get install busybox-static (it replaces busybox)"
fi
KEY=$(key "$CLUSTER_DIR/images.sh" "$CLUSTER_DIR/mkimage.py" "$1/pause" "$BUSYBOX")
OUT=$CACHE/images/$KEY
if [ ! -d "$OUT" ]; then
  NEW=$OUT.new
  rm -rf "$NEW"
  mkdir -p "$NEW"/root/{pause,busybox/{bin,dev,etc,proc,root,sys,tmp,var}}
  case $(uname -m) in x86_64) ARCH=amd64 ;; aarch64) ARCH=arm64 ;; *) ARCH=$(uname -m) ;; esac
  cp "$1/pause" "$NEW/root/pause/"
  cd "$NEW/root/busybox"
  cp "$BUSYBOX" bin/busybox
  for a in $(bin/busybox --list); do [ "$a" = busybox ] || ln -s busybox "bin/$a"; done
  ln -s bin sbin
  chmod 1777 tmp
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >etc/passwd
  printf 'root:x:0:\nnobody:x:65534:\n' >etc/group
  cd "$NEW"
  "$(python)" "$CLUSTER_DIR/mkimage.py" registry.local/kipu-pause:1 pause.tar root/pause "$ARCH" --entrypoint /pause
  "$(python)" "$CLUSTER_DIR/mkimage.py" docker.io/library/busybox:1.36 busybox.tar root/busybox "$ARCH" --cmd sh
  rm -rf root
  mv -T "$NEW" "$OUT"
fi
prune images "$KEY"
echo "$OUT"
