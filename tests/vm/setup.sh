#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: ./dev setup
#
# Installs whatever building, testing and linting need and this Debian 12 does not have yet.
# Does nothing, quickly, when all is there. Needs root only when something is missing.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ "${1:-}" != --help ] || { usage; exit; }

packages=(
    # compiler and build
    cmake ninja-build g++ pkg-config ccache git
    # libraries
    libpci-dev libnl-3-dev libnl-route-3-dev libnl-genl-3-dev libfmt-dev libcli11-dev
    libsystemd-dev libbpf-dev libsqlite3-dev nlohmann-json3-dev libtomlplusplus-dev libxml2-dev
    libgtest-dev libgmock-dev scdoc
    # the library's ABI
    abigail-tools
    # lint
    clang-19 clang-tidy-19 clang-format-19 shellcheck python3
    # test kernels
    linux-source-6.12 flex bison bc libelf-dev libssl-dev xz-utils lz4 make
    # the emulated machine: what runs in it comes from this system
    busybox-static cpio kmod pciutils iproute2 iputils-ping udev systemd dbus procps
    sqlite3 socat strace qemu-utils e2fsprogs dpdk dpdk-dev util-linux ibverbs-utils ibverbs-providers
    # what calls us: libvirt, a container runtime and what it calls
    libvirt-daemon-system libvirt-clients podman crun containernetworking-plugins
    # shells that complete command lines
    zsh fish
    # clients of other programs
    ansible-core
)
# Debian 12's own QEMU has neither igb nor SR-IOV for NVMe.
qemu_floor=10.0
suite=bookworm-backports

missing=()
installed=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' | sed -n 's/^ii *//p')
for package in "${packages[@]}"; do
    grep -qx "$package" <<<"$installed" || missing+=("$package")
done
qemu=$(dpkg-query -W -f '${Version}' qemu-system-x86 2>/dev/null || true)
need_qemu=
dpkg --compare-versions "${qemu:-0}" ge "1:$qemu_floor" || need_qemu=yes
# The machine's own QEMU, without the faults that stopped one machine in ten (tests/vm/README.md), and
# varlinkctl, which came with systemd 255. What a host may use its NICs and disks for comes without being
# installed: its services are nobody's wish here.
fetch_newer() {
    "$vfb_repo/tests/vm/trixie.sh" fetch --backports qemu-system-x86
    "$vfb_repo/tests/vm/trixie.sh" fetch systemd
    "$vfb_repo/tests/vm/trixie.sh" fetch openvswitch-switch lvm2 mdadm
}
[ ${#missing[@]} -gt 0 ] || [ -n "$need_qemu" ] || { fetch_newer && exit; }

[ "$(id -u)" = 0 ] || die "packages are missing: ${missing[*]}${need_qemu:+ qemu-system-x86}" \
    "run './dev setup' once as root"
export DEBIAN_FRONTEND=noninteractive

# The suite comes from the mirror that this machine already uses for Debian 12 itself.
add_backports() { apt_source "$suite" >/etc/apt/sources.list.d/vfbroker-backports.sources; }

if [ -n "$need_qemu" ] && ! grep -rqs "$suite" /etc/apt/sources.list /etc/apt/sources.list.d; then
    agree_to_suite "$suite" "QEMU $qemu_floor"
    note "adding the suite $suite for QEMU $qemu_floor"
    add_backports
fi
note "installing: ${missing[*]}${need_qemu:+ qemu-system-x86}"
apt-get -q update >&2 || die "apt-get update failed" "see above; is the mirror reachable?"
if [ ${#missing[@]} -gt 0 ]; then
    apt-get -qy --no-install-recommends install "${missing[@]}" >&2 || die "apt-get install failed"
fi
if [ -n "$need_qemu" ]; then
    apt-get -qy --no-install-recommends -t "$suite" install qemu-system-x86 >&2 ||
        die "installing QEMU from $suite failed" "apt-cache policy qemu-system-x86"
fi
fetch_newer
