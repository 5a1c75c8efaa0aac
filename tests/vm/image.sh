#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: tests/vm/image.sh
#
# Makes the image that guests inside the emulated machine start from, and prints its path in the
# cache: a qcow2 of an ext4 root with busybox, crun, the bundle of one container, and
# tests/vm/init-image. It is never written to: each guest gets an overlay.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ "${1:-}" != --help ] || { usage; exit; }

here=$vfb_repo/tests/vm
crun=$(command -v crun)
parts=("$0" "$here/init-image" "$here/guest-nic" "$here/image-container.json" /bin/busybox "$crun")
key=$(cat "${parts[@]}" | sha256sum | cut -c1-12)
out=$vfb_cache/image/$key.qcow2
if [ ! -e "$out" ]; then
    mkdir -p "$vfb_cache/image"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    root=$work/root
    mkdir -p "$root"/{bin,sbin,lib,lib64,etc,proc,sys,dev,run,tmp} "$root"/container/rootfs/{bin,proc,sys,dev}
    cp /bin/busybox "$root/bin/"
    cp /bin/busybox "$root/container/rootfs/bin/"
    for applet in $(busybox --list); do
        [ "$applet" != busybox ] || continue  # some versions list themselves
        ln -sf busybox "$root/bin/$applet"
        ln -sf busybox "$root/container/rootfs/bin/$applet"
    done
    cp "$crun" "$root/bin/"
    # Its libraries, at the paths by which it asks for them.
    ldd "$crun" | grep -o '/[^ ]*' | xargs -I {} cp --parents -L {} "$root"
    cp "$here/init-image" "$root/sbin/init"
    chmod +x "$root/sbin/init"
    cp "$here/guest-nic" "$root/lib/"
    cp "$here/image-container.json" "$root/container/config.json"
    truncate -s 64M "$work/raw"
    mke2fs -q -t ext4 -d "$root" "$work/raw"
    qemu-img convert -O qcow2 "$work/raw" "$out.$$"
    mv "$out.$$" "$out"
fi
printf '%s\n' "$out"
