#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: ./dev demo [--kernel full|stock]
#
# Plays the main job on the emulated machine: VFs go to guests whose VMMs have no privileges, two from
# overlays of one image and a thin one; they talk over them, one from a container inside. When they are
# killed the VFs come back clean and go to somebody else. At the end one VF goes from QEMU to libvirt
# and then to podman. What does not come true ends it. It takes a few minutes.

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
exec "$vfb_repo/dev" vm --kernel "$kernel" --timeout 1800 -- bash tests/vm/demo/inside
