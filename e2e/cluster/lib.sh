# lib.sh : what the scripts of this folder share: places, words, locks, processes.
# To be sourced, never run. It promises to change nothing outside the cache
# folder by being sourced. It must never print on stdout: that belongs to the
# scripts, whose last line is read by others.
# shellcheck shell=bash

# what fails unforeseen says where; a failure within $(...) is one too
shopt -s inherit_errexit
set -o errtrace
trap 'printf "error: %s:%s: failed: %s\n" "${BASH_SOURCE[0]}" "$LINENO" "$BASH_COMMAND" >&2' ERR

CLUSTER_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# the tree whose image and chart are meant; previous.sh makes another one than this
REPO=${KIPU_TREE:-$(cd "$CLUSTER_DIR/../.." && pwd)}
# sbin, for ip, iptables and runc, is not on the PATH of every user
PATH=$PATH:/usr/sbin:/sbin

say() { printf '[%(%T)T] %s\n' -1 "$*" >&2; }
# die WHAT [WHAT-TO-DO...] : ends the script with a clear error
die() {
  printf 'error: %s\n' "$1" >&2
  shift
  if [ $# -gt 0 ]; then printf '       %s\n' "$@" >&2; fi
  exit 1
}

CACHE=${KIPU_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kipu}
case $CACHE in
  /*[[:space:]]*) die "the cache folder may hold no blanks: $CACHE" "set KIPU_CACHE to another folder" ;;
  /*) ;;
  *) die "the cache folder must be an absolute path: $CACHE" "set KIPU_CACHE to one" ;;
esac
# all a running cluster writes, but for the next line; that of simulated nodes may stand beside another
case ${CLUSTER:-} in sim) STATE=$CACHE/sim ;; *) STATE=$CACHE/cluster ;; esac
SOCKETS=/run/kipu           # socket paths have a limit of 108 bytes; and the one owner's mark
BIN=$CACHE/bin              # kubectl, helm, ...: links to the current build
if [ -n "${KIPU_TREE:-}" ]; then IMAGE=kipu:previous; else IMAGE=kipu:dev; fi
ADMIN=$STATE/cfg/admin.kubeconfig

# key PATH|=TEXT... : 16 hex digits that change when any file or text does
key() {
  local a
  for a in "$@"; do
    case $a in =*) printf '%s\n' "$a" ;; *) sha256sum <"$a" ;; esac
  done | sha256sum | cut -c1-16
}

# lock NAME : one script at a time; descriptor 9 holds it until the script ends.
# Whatever is started to stay must be started with 9>&-.
lock() {
  mkdir -p "$CACHE"
  exec 9>"$CACHE/$1.lock"
  flock -n 9 && return
  say "waiting: another script of this folder holds $CACHE/$1.lock"
  flock 9
}

# need COMMAND-OR-FILE=PACKAGE... : installs the Debian packages that are missing
need() {
  local a what missing=()
  for a in "$@"; do
    what=${a%%=*}
    case $what in
      /*) [ -e "$what" ] || missing+=("${a#*=}") ;;
      *) command -v "$what" >/dev/null || missing+=("${a#*=}") ;;
    esac
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "missing on this machine: ${missing[*]}" "install them by hand: there is no apt-get here"
  [ "$(id -u)" = 0 ] || die "missing on this machine: ${missing[*]}" "as root: apt-get install ${missing[*]}"
  say "apt-get install ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null 2>&1 && return
  # the package lists are old or absent
  apt-get update -qq >&2 || true
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    die "apt-get could not install: ${missing[*]}" "see the lines above"
}

# python : prints the first Python >= 3.11 here, as the Makefile does
python() {
  local p
  for p in ${PYTHON:+"$PYTHON"} python3.13 python3.12 python3.11 python3; do
    if "$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$p"
      return
    fi
  done
  die "a Python >= 3.11 is needed" "set PYTHON to one"
}

# tool_python : prints one that has pip, whatever the system's comes with
tool_python() {
  local venv=$CACHE/python
  if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    rm -rf "$venv"
    "$(python)" -m venv "$venv" >&2 || die "$(python) cannot make a venv" "Debian: apt-get install python3-venv"
  fi
  echo "$venv/bin/python"
}

# docker_answers : whether a Docker engine does; a remote one that hangs does not
docker_answers() { command -v docker >/dev/null && timeout 10 docker info >/dev/null 2>&1; }

# --- processes ---------------------------------------------------------------
# A pid file holds the pid and the start time of the process: after a reboot, or
# when numbers wrap around, another process may carry the same pid.
started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
# alive PIDFILE : a zombie is not (whoever is process 1 here may reap late)
alive() {
  local pid start
  read -r pid start 2>/dev/null <"$1" || return 1
  [ -n "$start" ] && [ "$(started_at "$pid")" = "$start" ] && ! grep -qs ') Z ' "/proc/$pid/stat"
}
any_alive() { # STATE-FOLDER
  local f
  for f in "$1"/pid/*; do
    if [ -e "$f" ] && alive "$f"; then return 0; fi
  done
  return 1
}

# prune NAME KEY : drops the builds of NAME, other than KEY and those of clusters
# which run, that were not used for two weeks
prune() {
  local f
  touch "$CACHE/$1/$2"
  for f in "$CACHE"/{cluster,sim}/build; do
    if [ -s "$f" ]; then touch -c "$(cat "$f")"; fi
  done
  find "$CACHE/$1" -mindepth 1 -maxdepth 1 ! -name "$2" -mtime +14 -exec rm -rf {} +
}
