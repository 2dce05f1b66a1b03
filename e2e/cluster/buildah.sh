# buildah.sh : builds images without a Docker engine: buildah, on a base made of
# Debian packages. To be sourced by image.sh. All it stores is in the cache folder.
# shellcheck shell=bash

BASE_PACKAGES=python3,python3-venv,ca-certificates
# not in the image: what only people, package managers and tests read
BASE_DROPS='usr/share/doc usr/share/man usr/share/info usr/share/locale usr/share/lintian usr/share/bug
  var/cache/apt var/lib/apt/lists var/log usr/lib/python3*/test usr/lib/python3*/idlelib usr/lib/python3*/lib2to3
  usr/lib/python3*/pydoc_data usr/lib/python3*/distutils/tests usr/lib/*/perl-base/unicore'

b() {
  buildah --root "$CACHE/buildah" --runroot "$CACHE/buildah-run" --log-level error "$@"
}

# tidy : removes what an interrupted or failed build left mounted
tidy() {
  b rm --all >/dev/null
  if grep -q " $CACHE/buildah/overlay " /proc/self/mountinfo; then umount "$CACHE/buildah/overlay"; fi
}

# base : sets BASE, the image to build on, and BASE_PYTHON, its Python's version
base() {
  local suite mirror key stamp root c
  # shellcheck disable=SC1091
  suite=$(. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME") ||
    die "without a Docker engine the image's base is made of Debian's packages, and this is no Debian" "install Docker"
  # from where this machine's apt takes them
  # shellcheck disable=SC2016
  mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' | awk -v s="$suite" '$1==s && !n++ {print $2}')
  key=$(key "=$suite $BASE_PACKAGES $BASE_DROPS $(dpkg --print-architecture) $(declare -f base)")
  stamp=$CACHE/base/$key
  BASE=localhost/kipu-base:$key
  if [ ! -s "$stamp" ] || ! b inspect --type image "$BASE" >/dev/null 2>&1; then
    trap tidy EXIT
    say "making the image's base of Debian $suite: about a minute"
    need debootstrap=debootstrap
    # what was built on another base serves no more
    b rmi --all --force >/dev/null 2>&1 || true
    rm -rf "$CACHE/base"
    root=$CACHE/base/$key.root
    mkdir -p "$root"
    debootstrap --variant=minbase --include="$BASE_PACKAGES" "$suite" "$root" ${mirror:+"$mirror"} >"$CACHE/base/log" 2>&1 ||
      { tail -5 "$CACHE/base/log" >&2; die "debootstrap failed" "its log is $CACHE/base/log"; }
    # shellcheck disable=SC2086
    (cd "$root" && rm -rf $BASE_DROPS)
    c=$(b from scratch)
    b add -q "$c" "$root" / >/dev/null
    b config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$c"
    b commit -q --rm "$c" "$BASE" >/dev/null
    c=$(readlink "$root/usr/bin/python3")
    echo "${c#python}" >"$stamp.new"
    mv "$stamp.new" "$stamp"
    rm -rf "$root"
  fi
  BASE_PYTHON=$(cat "$stamp")
}

build_image() { # CONTEXT ARCHIVE
  trap tidy EXIT
  b build --quiet --layers --isolation chroot --format oci --build-arg BASE_IMAGE="$BASE" \
    --build-arg PIP_ARGS="$PIP_ARGS" --tag "docker.io/library/$IMAGE" "$1" >/dev/null
  rm -f "$2"
  b push --quiet "docker.io/library/$IMAGE" "oci-archive:$2:docker.io/library/$IMAGE"
  b inspect --type image --format '{{.FromImageID}}' "docker.io/library/$IMAGE"
}
