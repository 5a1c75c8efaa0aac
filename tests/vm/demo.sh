#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: ./dev demo [--kernel full|stock]
#
# Plays the main job on the emulated machine: a VF goes to a guest whose VMM has no privileges, the
# guest talks over it, and when it is killed the VF comes back clean and goes to somebody else.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
kernel=full
case ${1:-} in
    --help) usage; exit ;;
    --kernel) kernel=${2:?--kernel needs full or stock} ;;
    '') ;;
    *) die "unknown option '$1'" "./dev demo --help" ;;
esac
"$vfb_repo/dev" build >&2
exec "$vfb_repo/dev" vm --kernel "$kernel" -- bash tests/vm/demo-inside
