#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: tests/vm/initrd.sh machine|guest|image-guest KERNEL_DIR
#
# Makes the small initrd of the emulated machine, of the guest inside it, or of a guest that goes on
# from a disk, for a kernel of kernels.sh, and prints its path in the cache: busybox,
# tests/vm/init-machine or init-guest, and for a kernel with modules the few that the init loads. Uncompressed: under emulation that is the
# fastest to boot.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ "${1:-}" != --help ] || { usage; exit; }

kind=$1
kernel=$2
version=$(cat "$kernel/version")
here=$vfb_repo/tests/vm
case $kind in
    machine) modules=(virtio_pci virtio_console 9p 9pnet_virtio overlay) parts=("$here/init-machine") ;;
    guest) modules=(igbvf nvme) parts=("$here/init-guest" "$here/guest-nic") ;;
    image-guest) modules=(igbvf virtio_pci virtio_blk ext4) parts=("$here/init-guest" "$here/guest-nic") ;;
    *) die "unknown initrd '$kind'" "machine, guest or image-guest" ;;
esac

key=$( (echo "$version"; cat "$0" "${parts[@]}" /bin/busybox) | sha256sum | cut -c1-12)
out=$vfb_cache/initrd/$kind-$key.cpio
if [ ! -e "$out" ]; then
    mkdir -p "$vfb_cache/initrd"
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    mkdir -p "$root"/{bin,proc,sys,dev,modules}
    cp /bin/busybox "$root/bin/"
    cp "${parts[@]}" "$root/"
    mv "$root/$(basename "${parts[0]}")" "$root/init"
    chmod +x "$root/init"
    if [ -d "$kernel/lib" ]; then
        # Numbered, so that the init can load them in the order of their names.
        number=100
        for module in "${modules[@]}"; do
            while read -r _ path _; do
                name=$(basename "$path" .xz)
                [ -z "$(find "$root/modules" -name "*-$name")" ] || continue
                case $path in
                    *.xz) xz -dc "$path" ;;
                    *) cat "$path" ;;
                esac >"$root/modules/$number-$name"
                number=$((number + 1))
            done < <(modprobe -d "$kernel" -S "$version" --show-depends "$module" | grep '^insmod')
        done
    fi
    (cd "$root" && find . -print0 | cpio --quiet -0 -o -H newc) >"$out.$$"
    mv "$out.$$" "$out"
fi
printf '%s\n' "$out"
