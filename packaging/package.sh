#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: ./dev package [SUITE] [--again]
#
# Builds the Debian packages into build/package/SUITE and has lintian check them. SUITE is bookworm
# (default), which is built on this machine, or another one (trixie, testing), in a root of its own.
#
#   --again   build them a second time, in another folder and without what the compiler cache has; it is
#             an error if one is not the same to the bit
#
# What is built is the working tree, with what is not committed. The unit tests are not part of it:
# ./dev test.

set -euo pipefail
. "$(dirname "$0")/../tests/vm/lib.sh"

suite=bookworm again=''
while [ $# -gt 0 ]; do
    case $1 in
        --help) usage && exit ;;
        --again) again=yes ;;
        -*) die "unknown option '$1'" "./dev package --help" ;;
        *) suite=$1 ;;
    esac
    shift
done
# shellcheck source=packaging/root.sh
. "$vfb_repo/packaging/root.sh"

# Always the same: the compiler cache knows its path.
work=$vfb_cache/package/$suite
mkdir -p "${work%/*}"
exec {lock}>"$work.lock"
flock "$lock"
rm -rf "$work"
mkdir "$work"
trap 'rm -rf "$work"' EXIT

# build FOLDER [VARIABLE=VALUE]...: the packages of the tree into FOLDER, which is new.
build() {
    local folder=$1
    shift
    mkdir "$folder"
    copy_tree "$folder/vfbroker"
    # Of one version, but each suite has its own libraries: +deb12 < +deb13.
    sed -i "1s/(\([^)]*\))/(\1+$(suite_number))/" "$folder/vfbroker/debian/changelog"
    in_root "$folder/vfbroker" env LC_ALL=C.UTF-8 DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" \
        DEB_BUILD_PROFILES=nocheck "$@" dpkg-buildpackage -b -us -uc >"$folder/log" 2>&1 || {
        tail -n 40 "$folder/log" >&2
        cp "$folder/log" "$vfb_repo/build/package/$suite.log"
        die "dpkg-buildpackage failed" "build/package/$suite.log has all of it"
    }
    if grep -E '^[^ ]+:[0-9]+:[0-9]+: warning: ' "$folder/log" >&2; then die "the compiler warns" "see above"; fi
}

mkdir -p "$vfb_repo/build/package"
make_root build-essential dpkg-dev lintian
note "building the packages for $suite"
# The compiler cache counts here as well, if there is one; debhelper would give it a home of its own. What
# has it find more (./dev build) makes other paths of those that the compiler sees, and other bits.
unset CCACHE_BASEDIR CCACHE_NOHASHDIR
caching=(CCACHE_DISABLE=1)
if [ "$suite" = bookworm ] && command -v ccache >/dev/null; then
    caching=(CCACHE_DIR="$(ccache -k cache_dir)" PATH="/usr/lib/ccache:$PATH")
fi
build "$work/first" "${caching[@]}"
changes=$(cd "$work/first" && echo *.changes)
in_root "$work/first/vfbroker" lintian --allow-root --fail-on error,warning --info "../$changes" >&2 ||
    die "lintian objects" "mend it, or explain it in debian/PACKAGE.lintian-overrides"

if [ -n "$again" ]; then
    note "building them again, elsewhere"
    mkdir "$work/elsewhere"
    build "$work/elsewhere/second" CCACHE_DISABLE=1
    for deb in "$work"/first/*.deb; do
        cmp "$deb" "$work/elsewhere/second/${deb##*/}" ||
            die "${deb##*/} is not the same twice" "diffoscope says where they differ"
    done
    note "the same, to the bit"
fi

rm -rf "$vfb_repo/build/package/$suite"
mkdir "$vfb_repo/build/package/$suite"
mv "$work"/first/*.*deb "$work"/first/*.changes "$work"/first/*.buildinfo "$vfb_repo/build/package/$suite/"
mv "$work/first/log" "$vfb_repo/build/package/$suite.log"
(cd "$vfb_repo/build/package/$suite" && sha256sum -- *.deb)
