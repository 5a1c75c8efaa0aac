#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: tests/vm/trixie.sh fetch [--backports] PACKAGE...
#        tests/vm/trixie.sh run PACKAGE PROGRAM [ARG]...
#
#   fetch   get packages of Debian 13 or its backports, and all that they need, into the cache
#   run     run a program of theirs, PACKAGE the first of them, with its own libraries; inside the
#           emulated machine as well
#
# For what Debian 12 does not have, or not free of a fault that stops the tests.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/apt.sh"

suite=trixie

# fetch DIR SUITE PACKAGE...: what apt would install into an empty system, checked as apt does: a signed list
# of hashes. Nothing of this system's apt is touched.
fetch() {
    local dir=$1 apt=$1.new/apt from=$2 options deb
    shift 2
    rm -rf "$dir.new"
    new_apt "$apt" "$suite" "$suite-backports"
    mapfile -t options < <(apt_options "$apt")
    note "${vfb_step:-}fetching $* of $from, not to be installed"
    apt_get "lists of packages of $suite" "${options[@]}" update
    apt_get "$1 of $from" "${options[@]}" --no-install-recommends --download-only -t "$from" install "$@"
    for deb in "$apt"/archives/*.deb; do
        dpkg -x "$deb" "$dir.new"
    done
    rm -rf "$apt"
    mv "$dir.new" "$dir"
}

case ${1:---help} in
    fetch)
        from=$suite
        [ "${2:-}" != --backports ] || { from=$suite-backports && shift; }
        dir=$vfb_cache/$suite/${2:?}
        [ ! -d "$dir" ] || exit 0
        shift
        mkdir -p "$vfb_cache/$suite"
        exec {lock}>"$dir.lock"
        flock "$lock"
        [ -d "$dir" ] || fetch "$dir" "$from" "$@"
        ;;
    run)
        dir=$vfb_cache/$suite/${2:?}
        [ -d "$dir" ] || die "$2 of $suite is not there yet" "tests/vm/trixie.sh fetch $2"
        program=$dir/usr/bin/${3:?}
        [ -e "$program" ] || program=$dir/usr/sbin/$3
        shift 3
        library=$(echo "$dir"/usr/lib/*-linux-gnu)
        # Where QEMU has its accelerators; others do not look at it.
        export QEMU_MODULE_DIR=$library/qemu
        exec "$library"/ld-linux-*.so.* --library-path "$library:$library/systemd" \
            "$program" "$@"
        ;;
    --help) usage ;;
    *) die "unknown command '$1'" "tests/vm/trixie.sh --help" ;;
esac
