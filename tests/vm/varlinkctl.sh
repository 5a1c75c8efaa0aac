#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: tests/vm/varlinkctl.sh --fetch | ARG...
#
#   --fetch   get varlinkctl of Debian 13, and every library of it, into the cache
#   ARG...    run that varlinkctl; inside the emulated machine as well
#
# Debian 12 has none: it came with systemd 255.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ "${1:---help}" != --help ] || { usage; exit; }

suite=trixie
dir=$vfb_cache/varlinkctl-$suite

# fetch: what apt would install into an empty system, checked as apt does: a signed list of hashes.
# Nothing of this system's apt is touched.
fetch() {
    local apt=$dir.new/apt options deb
    rm -rf "$dir.new"
    mkdir -p "$apt"/{lists,archives}/partial
    : >"$apt/status"
    apt_source "$suite" >"$apt/list.sources"
    options=(-q -o Dir::Etc::sourcelist="$apt/list.sources" -o Dir::Etc::sourceparts=-
        -o Dir::State="$apt" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt"
        -o Acquire::Languages=none -o APT::Sandbox::User=root)
    note "fetching varlinkctl of $suite"
    apt-get "${options[@]}" update >&2 || die "apt-get update for $suite failed" "see above"
    apt-get "${options[@]}" -y --no-install-recommends --download-only install systemd >&2 ||
        die "cannot fetch systemd of $suite" "see above"
    for deb in "$apt"/archives/*.deb; do
        dpkg -x "$deb" "$dir.new"
    done
    rm -rf "$apt"
    mv "$dir.new" "$dir"
}

if [ "$1" = --fetch ]; then
    [ ! -d "$dir" ] || exit 0
    mkdir -p "$vfb_cache"
    exec {lock}>"$dir.lock"
    flock "$lock"
    [ -d "$dir" ] || fetch
    exit
fi
[ -d "$dir" ] || die "there is no varlinkctl yet" "tests/vm/varlinkctl.sh --fetch"
library=$(echo "$dir"/usr/lib/*-linux-gnu)
exec "$library"/ld-linux-*.so.* --library-path "$library:$library/systemd" \
    "$dir/usr/bin/varlinkctl" --no-pager "$@"
