#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: ./dev bench [--readme]
#
# Measures vfbroker against the same kernel calls made bare and against its peers, each pair
# alternating in one run, and holds the ratios against the bounds of the README.
# Exits 1 when a bound is broken. With --readme the table in README.md is replaced.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
case ${1:-} in
    --help) usage; exit ;;
    --readme | '') ;;
    *) die "unknown option '$1'" "./dev bench --help" ;;
esac

cd "$vfb_repo"
./dev build --preset release >&2
build=build/release
results=$(mktemp)
trap 'rm -f "$results"' EXIT

# measure WHAT COMMAND...: one that fails twice is missing in the table, which says so; the others
# count. Twice, because QEMU now and then ends itself.
measure() {
    local one
    note "$1"
    shift
    one=$(mktemp)
    if "$@" >"$one" || "$@" >"$one"; then
        cat "$one" >>"$results"
    else
        note "failed: $*"
    fi
    rm -f "$one"
}

measure "a generated host of 4,096 functions" \
    python3 tests/bench/scale.py $build
measure "leases, on the kernel with iommufd" \
    ./dev vm --kernel full -- env VFB_BUILD=$build python3 tests/bench/leases.py $build
measure "a plan of 2,048 VFs, on a generated tree with the kernel's netdevsim" \
    ./dev vm --kernel full -- env VFB_BUILD=$build python3 tests/bench/plan.py $build 7
measure "a start of the daemon with the VFs of two NICs and an NVMe controller to make" \
    ./dev vm --kernel full --nics 2 --nvme 64 -- \
    env VFB_BUILD=$build python3 tests/bench/boot.py $build 7
measure "creating and binding all VFs of two PFs" \
    ./dev vm --kernel full --nics 2 -- \
    $build/tests/bench/provision_bench 5 0000:01:00.0 0000:02:00.0
measure "attributes of 256 VFs" \
    ./dev vm --kernel full -- $build/tests/bench/attributes_bench 40
python3 tests/bench/table.py "$results" "${1:-}"
