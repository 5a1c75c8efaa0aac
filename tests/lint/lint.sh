#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: ./dev lint [format|tidy|shell|boundaries]...
#
# Runs these checks, all without an argument, goes on past one that fails, and exits 1 if any did.
# To mend the formatting: clang-format-19 -i FILE

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../vm/lib.sh"
[ "${1:-}" != --help ] || { usage; exit; }
[ $# -gt 0 ] || set -- format shell boundaries tidy

failed=''
for check in "$@"; do
    [ -x "$here/$check.sh" ] || die "unknown check '$check'" "./dev lint --help"
    started=$SECONDS
    if "$here/$check.sh"; then
        note "lint: $check: ok ($((SECONDS - started)) s)"
    else
        note "lint: $check: FAILED"
        failed+=" $check"
    fi
done
[ -z "$failed" ] || die "failed:$failed"
