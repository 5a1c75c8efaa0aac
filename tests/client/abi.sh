#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: abi.sh LIBRARY HEADERS
#
# The ABI of LIBRARY, as far as HEADERS (a folder) show it, is the recorded one, vfbroker.abi, and has
# all that the last release had: the record of the last tag v* that HEAD has behind it.
#
# With VFB_REGENERATE_ABI=1 the record is written anew. Calls may be added in a new node of
# vfbroker.map, members at the end of vfb_lease_options, values to enumerations; anything else breaks
# programs that exist and needs a new SOVERSION.

set -euo pipefail
library=$1 headers=$2
here=$(cd "$(dirname "$0")" && pwd -P)
record=$here/vfbroker.abi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# describe LIBRARY OUT: without what differs from one computer to the next.
describe() {
    abidw --headers-dir "$headers" --drop-private-types --exported-interfaces-only --no-elf-needed \
        --no-corpus-path --no-comp-dir-path --no-show-locs --type-id-style hash "$1" >"$2"
}
if [ "${VFB_REGENERATE_ABI:-}" = 1 ]; then
    describe "$library" "$record"
    echo "abi: $record is written" >&2
    exit
fi

# members FILE: names and offsets of those of vfb_lease_options.
members() {
    sed -n "/class-decl name='vfb_lease_options'/,/<\/class-decl>/p" "$1" |
        grep -oE "layout-offset-in-bits='[0-9]+'|var-decl name='[^']+'"
}

describe "$library" "$scratch/built.abi"
# The record is complete: whatever differs, additions too, has to go there.
if ! abidiff --harmless --no-show-locs "$record" "$scratch/built.abi"; then
    echo "abi: the library's ABI is not the recorded one: see above" >&2
    echo "hint: a removal or a change breaks programs; record an addition: VFB_REGENERATE_ABI=1 $0 $*" >&2
    exit 1
fi

tag=$(git -C "$here" describe --tags --abbrev=0 --match 'v*' 2>/dev/null) || {
    echo "abi: as recorded; there is no release to compare with" >&2
    exit
}
release=$scratch/release.abi
git -C "$here" show "$tag:./vfbroker.abi" >"$release"
# The suppression lets members be added at the end, and does not see what else becomes of them.
if ! abidiff --no-show-locs --no-added-syms --suppressions "$here/abi.suppressions" "$release" \
    "$scratch/built.abi" ||
    ! diff <(members "$release") \
        <(members "$scratch/built.abi" | head -n "$(members "$release" | wc -l)"); then
    echo "abi: programs that were built for $tag do not run with this library: see above" >&2
    exit 1
fi
echo "abi: as recorded, and compatible with $tag" >&2
