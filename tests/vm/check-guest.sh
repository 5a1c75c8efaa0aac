#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: ./dev vm --kernel stock|full -- tests/vm/check-guest.sh
#
# Proves that the testbed carries what the project is for, with nothing of the project in it: a VF
# goes to a guest inside the machine, whose QEMU has no privileges, and the guest pings the PF over
# it. On the full kernel by iommufd with inherited descriptors, else by the group's device node.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/start-guest"
[ -n "${VFB_VM:-}" ] || { usage; exit 1; }

pf=/sys/bus/pci/devices/0000:01:00.0
vf=0000:01:10.0
nobody=65534
# Any name: without udev it is eth0.
netdev=$(ls $pf/net)
ip addr add 10.0.0.1/24 dev "$netdev"
ip link set "$netdev" up
echo 0 >$pf/sriov_drivers_autoprobe
echo 1 >$pf/sriov_numvfs
ip link set "$netdev" vf 0 mac 02:00:00:00:00:01
echo vfio-pci >/sys/bus/pci/devices/$vf/driver_override
echo $vf >/sys/bus/pci/drivers_probe
[ "$(basename "$(readlink /sys/bus/pci/devices/$vf/driver)")" = vfio-pci ] || die "$vf is not bound"

if [ -e /dev/iommu ]; then
    node=/dev/vfio/devices/$(ls /sys/bus/pci/devices/$vf/vfio-dev)
    device=(-object iommufd,id=iommufd0,fd=9 -device vfio-pci,iommufd=iommufd0,fd=8,bus=rp1)
else
    chown $nobody "/dev/vfio/$(basename "$(readlink /sys/bus/pci/devices/$vf/iommu_group)")"
    device=(-device "vfio-pci,host=$vf,bus=rp1")
fi
read -ra accel <<<"$VFB_GUEST_ACCEL"
ulimit -l unlimited
started=$SECONDS
guest() {
    # Opened for each: a descriptor that one QEMU has used is of no use to the next.
    [ ! -e /dev/iommu ] || exec 8<>"$node" 9<>/dev/iommu
    setpriv --reuid $nobody --regid $nobody --clear-groups \
        qemu-system-x86_64 "${accel[@]}" -M q35 -m 256M -nodefaults -nographic -serial stdio \
        -no-reboot -device pcie-root-port,id=rp1 "${device[@]}" \
        -kernel "$VFB_GUEST_KERNEL" -initrd "$VFB_GUEST_INITRD" \
        -append "$VFB_GUEST_APPEND vfb.ip=10.0.0.2/24 vfb.ping=10.0.0.1" |
        sed -u 's/\r//g' | tee /tmp/guest.log
}
# Whoever opens the VF gets it reset: nothing else is to be waited for.
start_guest guest /tmp/guest.log true guest
note "the guest took $((SECONDS - started)) s"
grep -q '^GUEST .*mac=02:00:00:00:00:01 driver=igbvf' /tmp/guest.log
grep -q '^GUEST ping ok' /tmp/guest.log
