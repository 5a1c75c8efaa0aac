#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: ./dev vm [OPTION]... [-- COMMAND [ARG]...]
#
# Runs a command inside the emulated machine (an Intel IOMMU and SR-IOV devices, by QEMU without
# KVM) and exits as it exits; without a command, an interactive shell. Inside, the root is this
# system's root: everything can be written, nothing of it reaches this system.
#
#   --kernel stock|full  Debian's kernel (default), or the one with iommufd (tests/vm/kernel.config);
#            6.1|7       another one of Debian: kernels.sh
#   --nics N             igb NICs with 7 VFs, from 0000:01:00.0, each behind a root port (default 1)
#   --switch             one more igb, nic-switch, behind a PCIe switch without ACS
#   --pci-bridge         a bridge to conventional PCI with two devices, pci-testdev, behind it
#   --nvme VFS           an NVMe controller that can have that many VFs, at most 127; an empty disk
#   --no-iommu           a machine without an IOMMU
#   --intremap off       an IOMMU that cannot remap interrupts
#   --append ARGS        more kernel parameters
#   --qemu ARG           one more argument to QEMU; may be repeated
#   --systemd            systemd and udev as PID 1; the command runs after multi-user.target
#   --before SCRIPT      with --systemd: run that script first, before systemd is there
#   --boots N            reset the machine and run all of it again, N times in all; the command finds
#                        which time it is in $VFB_BOOT
#   --memory SIZE        default 2G; with 3G or more the VFs of igb do not come up
#   --timeout SECS       end the machine after that long (default 600)
#   --qmp SOCKET         QEMU's QMP on that socket outside as well
#   --share DIR          the folder that is $VFB_SHARE inside, writable from both sides
#   --console FILE       keep the messages of the kernel in that file
#
# Exit status: that of the command; 124 at the time limit, 125 when the machine itself failed.
# tests/vm/README.md says what a command finds inside.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

kernel=stock nics=1 switch='' pci_bridge='' nvme='' iommu=yes intremap=on append='' systemd='' memory=2G
timeout=600 qmp='' before='' boots=1 share='' console='' extra=()
while [ $# -gt 0 ]; do
    case $1 in
        --kernel) kernel=${2:?} && shift ;;
        --nics) nics=${2:?} && shift ;;
        --switch) switch=yes ;;
        --pci-bridge) pci_bridge=yes ;;
        --nvme) nvme=${2:?} && shift ;;
        --no-iommu) iommu='' ;;
        --intremap) intremap=${2:?} && shift ;;
        --append) append=${2?} && shift ;;
        --qemu) extra+=("${2:?}") && shift ;;
        --systemd) systemd=yes ;;
        --before) before=$(realpath "${2:?}") && shift ;;
        --boots) boots=${2:?} && shift ;;
        --memory) memory=${2:?} && shift ;;
        --timeout) timeout=${2:?} && shift ;;
        --qmp) qmp=${2:?} && shift ;;
        --share) share=$(realpath "${2:?}") && shift ;;
        --console) console=$(realpath -m "${2:?}") && shift ;;
        --help) usage && exit ;;
        --) shift && break ;;
        *) die "unknown option '$1'" "./dev vm --help; a command comes after --" ;;
    esac
    shift
done
case $kernel in stock | full | 6.1 | 7) ;; *) die "unknown kernel '$kernel'" "stock, full, 6.1 or 7" ;; esac
[ "$nics" -le 12 ] || die "--nics $nics is more than the root bus has room for" "at most 12"

kernel_dir=$("$vfb_repo/tests/vm/kernels.sh" "$kernel")
initrd=$("$vfb_repo/tests/vm/initrd.sh" machine "$kernel_dir")
guest_initrd=$("$vfb_repo/tests/vm/initrd.sh" guest "$kernel_dir")
image_initrd=$("$vfb_repo/tests/vm/initrd.sh" image-guest "$kernel_dir")
guest_image=$("$vfb_repo/tests/vm/image.sh")
kernel_version=$(cat "$kernel_dir/version")

work=$(mktemp -d "${TMPDIR:-/tmp}/vfb-vm.XXXXXX")
: "${share:=$work/share}" "${console:=$work/console}"
mkdir -p "$share"
rm -f "$share/status" "$share/journal"
echo 1 >"$share/boot"
qemu_pid=''
# shellcheck disable=SC2317
cleanup() {
    trap '' INT TERM
    if [ -n "$qemu_pid" ]; then
        kill "$qemu_pid" 2>/dev/null && wait "$qemu_pid" || true
    fi
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Under TCG a one-shot timer of the local APIC is lost now and then, and with it everything that
# sleeps: the periodic tick recovers by itself. So it is for guests inside.
periodic='nohz=off highres=off'
# What a boot under emulation would spend seconds on, for nothing here.
fewer='mitigations=off audit=0 pty.legacy_count=0'

# What runs inside, and with what.
tty=''
if [ $# = 0 ]; then
    [ -t 0 ] && [ -t 1 ] || die "an interactive shell needs a terminal" "./dev vm -- COMMAND"
    tty=yes
    set -- bash -i
fi
printf '%q ' "$@" >"$share/command"
modules=''
kernel_modules=''
if [ -d "$kernel_dir/lib" ]; then
    modules=$kernel_dir/lib/modules/$kernel_version
    kernel_modules='igb vfio-pci vfio_iommu_type1 nvme autofs4 kvm-amd'
fi
init=inside${systemd:+-systemd}
{
    printf '%s=%q\n' vfb_repo "$vfb_repo" vfb_cache "$vfb_cache" vfb_modules "$modules" \
        vfb_kernel_modules "$kernel_modules" vfb_tty "$tty" vfb_init "$vfb_repo/tests/vm/$init" \
        vfb_before "$before" vfb_boots "$boots" vfb_guest_kernel "$kernel_dir/bzImage" \
        vfb_guest_initrd "$guest_initrd" vfb_image_initrd "$image_initrd" vfb_guest_image "$guest_image" \
        vfb_qemu "$vfb_cache/trixie/qemu-system-x86"
    printf 'export %s=%q\n' VFB_VM "$kernel" VFB_SHARE /run/vfb/share TERM "${TERM:-dumb}" \
        VFB_GUEST_KERNEL /run/vfb/guest/kernel VFB_GUEST_INITRD /run/vfb/guest/initrd \
        VFB_IMAGE_INITRD /run/vfb/guest/image-initrd VFB_GUEST_IMAGE /run/vfb/guest/image.qcow2 \
        VFB_GUEST_APPEND "console=ttyS0 quiet panic=-1 $periodic lapic=notscdeadline $fewer" \
        VFB_GUEST_ACCEL '-accel kvm -cpu host' CI "${CI:-}" \
        VFBROKER_CACHE "$vfb_cache"
} >"$share/machine.env"

# no_timer_check spares a check at boot that fails when the host is busy.
cmdline="console=ttyS0 no_timer_check $periodic panic=-1 oops=panic $fewer"
cmdline+=" intel_iommu=on $append"
# With "fast" byte-wise string instructions Linux clears and copies memory by them: emulated, eight
# bytes at a time are faster. The processor has SVM, so guests inside have KVM.
cpu=max,-erms,-fsrm,-fsrs,-fzrm
# The machine. Slots are fixed: the first NIC is 0000:01:00.0 whatever else there is.
nine=security_model=none,multidevs=remap
args=(
    -accel tcg,thread=multi -M q35,kernel-irqchip=split -cpu "$cpu" -smp 2 -m "$memory"
    -nodefaults -display none -vga none -no-reboot
    -kernel "$kernel_dir/bzImage" -initrd "$initrd"
    -append "$cmdline"
    -serial "file:$console"
    -fsdev "local,id=hostroot,path=/,readonly=on,$nine"
    -device virtio-9p-pci,addr=18,fsdev=hostroot,mount_tag=hostroot
    -fsdev "local,id=share,path=$share,$nine"
    -device virtio-9p-pci,addr=19,fsdev=share,mount_tag=share
    -device virtio-serial-pci,addr=1a
    # QEMU's QMP is a port inside: QEMU connects to its own socket.
    -chardev "socket,id=monitor,path=$work/monitor,server=on,wait=off"
    -mon chardev=monitor,mode=control
    -chardev "socket,id=inside,path=$work/monitor"
    -device virtserialport,chardev=inside,name=vfbroker.qmp
)
if [ -n "$tty" ]; then
    args+=(-chardev stdio,id=tty,signal=off -device virtconsole,chardev=tty)
else
    # Through pipes of ours: what is at the other end of stdout may be no file that can be opened.
    mkfifo "$work/stdout" "$work/stderr"
    cat "$work/stdout" &
    cats=$!
    cat "$work/stderr" >&2 &
    cats="$cats $!"
    for name in stdout stderr; do
        args+=(-chardev "file,id=$name,path=$work/$name"
            -device "virtserialport,chardev=$name,name=vfb.$name")
    done
fi
[ -z "$qmp" ] || args+=(-qmp "unix:$qmp,server=on,wait=off")
[ -z "$iommu" ] ||
    args+=(-device "intel-iommu,intremap=$intremap,caching-mode=on,device-iotlb=on")

chassis=0
# root_port ID ADDR
root_port() {
    chassis=$((chassis + 1))
    args+=(-device "pcie-root-port,id=$1,addr=$2,chassis=$chassis,slot=$chassis")
}
# nic ID BUS
nic() {
    args+=(-netdev "user,id=net-$1,restrict=on" -device "igb,id=$1,bus=$2,netdev=net-$1,romfile=")
}
for ((i = 0; i < nics; i++)); do
    root_port "rp-nic$i" "$(printf %x $((2 + i)))"
    nic "nic$i" "rp-nic$i"
done
if [ -n "$switch" ]; then
    root_port rp-switch 10
    args+=(-device x3130-upstream,id=switch,bus=rp-switch
        -device xio3130-downstream,id=switch-port,bus=switch,chassis=100,slot=100)
    nic nic-switch switch-port
fi
if [ -n "$pci_bridge" ]; then
    root_port rp-pci 12
    args+=(-device pcie-pci-bridge,id=pci,bus=rp-pci
        -device pci-testdev,id=testdev0,bus=pci,addr=1
        -device pci-testdev,id=testdev1,bus=pci,addr=2)
fi
if [ -n "$nvme" ]; then
    root_port rp-nvme 11
    args+=(-device nvme-subsys,id=nvme-subsys
        -device "nvme,id=nvme0,serial=vfb0,subsys=nvme-subsys,bus=rp-nvme,sriov_max_vfs=$nvme,\
max_ioqpairs=$((2 * nvme + 2)),sriov_vq_flexible=$((2 * nvme)),\
msix_qsize=$((nvme + 136)),sriov_vi_flexible=$nvme")
    truncate -s 64M "$work/disk"
    args+=(-blockdev "driver=file,filename=$work/disk,node-name=disk"
        -device nvme-ns,drive=disk,bus=nvme0)
fi

# Not the QEMU of Debian 12's backports, and not as it comes: tests/vm/README.md says why.
qemu_package=$vfb_cache/trixie/qemu-system-x86/usr
qemu_program=$("$vfb_repo/tests/vm/repair-qemu" "$qemu_package/bin/qemu-system-x86_64")
qemu=("$vfb_repo/tests/vm/trixie.sh" run qemu-system-x86 "${qemu_program##*/}"
    -L "$qemu_package/share/qemu" -L "$qemu_package/share/seabios")
# However this script ends, SIGKILL included, QEMU must not outlive it.
started=$SECONDS
bound=(setpriv --pdeathsig KILL)
run=("${bound[@]}" timeout --foreground -k 5 "$timeout"
    "${bound[@]}" "${qemu[@]}" "${args[@]}" "${extra[@]}")
if [ -n "$tty" ]; then
    "${run[@]}" && qemu_status=0 || qemu_status=$?
else
    "${run[@]}" </dev/null >"$work/qemu" 2>&1 &
    qemu_pid=$!
    wait "$qemu_pid" && qemu_status=0 || qemu_status=$?
    qemu_pid=''
    # shellcheck disable=SC2086
    wait $cats || true
fi

show_console() {
    note "--- the last messages of the machine's kernel ---"
    tail -n "$1" "$console" | tr -d '\r' >&2 || true
    note "---"
}
if [ -s "$share/status" ]; then
    status=$(cat "$share/status")
    # What a kernel complains of is the likeliest reason of a failure.
    if [ "$status" != 0 ] && grep -qE 'BUG:|WARNING:|Call Trace|blocked for more' "$console"; then
        show_console 60
    fi
    exit "$status"
elif [ "$qemu_status" = 124 ]; then
    show_console 30
    note "${0##*/}: time limit of $timeout s: the machine was ended"
    exit 124
fi
show_console 60
cat "$work/qemu" >&2 2>/dev/null || true
note "${0##*/}: the machine ended after $((SECONDS - started)) s without an exit status" \
    "(QEMU's own is $qemu_status)"
exit 125
