#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: ./dev setup [PART]...
#
# Installs what this Debian 12 does not have yet; the other commands install their own part by themselves.
#
#   build  to compile all of it, tests as well
#   demo   to compile the programs alone, and to run what ./dev demo shows; demo-all: with libvirt and podman
#   test   the emulated machine, its kernels, and every program that the tests call
#   lint   what looks at the sources
#
# Without a PART: build, test and lint. Does nothing, quickly, when all is there. Needs root only when
# something is missing.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/apt.sh"
[ "${1:-}" != --help ] || { usage; exit; }

programs=(cmake ninja-build g++ pkg-config libpci-dev libnl-3-dev libnl-route-3-dev libnl-genl-3-dev libfmt-dev
    libcli11-dev libsystemd-dev libsqlite3-dev nlohmann-json3-dev libtomlplusplus-dev scdoc)
# For libvirt's hook and the plugins of container runtimes.
plugins=(libbpf-dev libxml2-dev)
# The emulated machine: what runs in it comes from this system.
machine=(busybox-static cpio kmod pciutils iproute2 procps python3 qemu-utils e2fsprogs util-linux xz-utils crun)
# libvirt, a container runtime and what it calls.
callers=(libvirt-daemon-system libvirt-clients podman containernetworking-plugins)

build=("${programs[@]}" "${plugins[@]}" ccache git libgtest-dev libgmock-dev)
demo=("${programs[@]}" "${machine[@]}")
test=("${build[@]}" "${machine[@]}" "${callers[@]}"
    # the library's ABI
    abigail-tools
    # the kernel that is built
    linux-source-6.12 flex bison bc libelf-dev libssl-dev make
    # what runs in the machine
    iputils-ping udev systemd dbus sqlite3 socat strace lz4 dpdk dpdk-dev ibverbs-utils ibverbs-providers
    # shells that complete command lines, and clients of other programs
    zsh fish ansible-core)
lint=("${build[@]}" clang-19 clang-tidy-19 clang-format-19 shellcheck python3)

# Debian 12's own QEMU has neither igb nor SR-IOV for NVMe: guests inside the machine have this one.
qemu_floor=10.0
suite=bookworm-backports

packages=() need_qemu='' fetched=()
[ $# -gt 0 ] || set -- build test lint
for part in "$@"; do
    case $part in
        build) packages+=("${build[@]}") ;;
        demo) packages+=("${demo[@]}") ;;
        demo-all) packages+=("${demo[@]}" "${plugins[@]}" "${callers[@]}") ;;
        test) packages+=("${test[@]}") ;;
        lint) packages+=("${lint[@]}") ;;
        *) die "unknown part '$part'" "build, demo, demo-all, test or lint" ;;
    esac
    case $part in
        demo*) fetched+=(qemu) ;;
        test)
            fetched+=(qemu others)
            dpkg --compare-versions \
                "$(dpkg-query -W -f '${Version}' qemu-system-x86 2>/dev/null || echo 0)" ge "1:$qemu_floor" ||
                need_qemu=yes
            ;;
    esac
done

# What comes without being installed. The machine's own QEMU, without the faults that stopped one machine in
# ten (tests/vm/README.md); varlinkctl, which came with systemd 255; and what a host may use its NICs and
# disks for: its services are nobody's wish here.
fetch() {
    "$vfb_repo/tests/vm/trixie.sh" fetch "$@"
}
fetch_newer() {
    local what
    for what in "${fetched[@]}"; do
        case $what in
            qemu) fetch --backports qemu-system-x86 ;;
            others)
                fetch systemd
                fetch openvswitch-switch lvm2 mdadm
                ;;
        esac
    done
}

missing=()
installed=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' | sed -n 's/^ii *//p')
for package in $(printf '%s\n' "${packages[@]}" | sort -u); do
    grep -qx "$package" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || [ -n "$need_qemu" ] || { fetch_newer && exit; }

[ "$(id -u)" = 0 ] || die "packages are missing: ${missing[*]}${need_qemu:+ qemu-system-x86}" \
    "run './dev setup $*' once as root"
export DEBIAN_FRONTEND=noninteractive
# What a run left behind that was cut off in the middle.
if [ -n "$(dpkg --audit)" ]; then
    # Where it can't, because others were not unpacked, apt gets these.
    when_unlocked dpkg --configure -a || ! is_locked || packages_failed "dpkg --configure -a failed"
    apt_get "what was begun before" --fix-broken install
fi

if [ -n "$need_qemu" ] && ! grep -rqs "$suite" /etc/apt/sources.list /etc/apt/sources.list.d; then
    agree_to_suite "$suite" "QEMU $qemu_floor"
    note "adding the suite $suite for QEMU $qemu_floor"
    # From the mirror that this machine already uses for Debian 12 itself.
    apt_source "$suite" >/etc/apt/sources.list.d/vfbroker-backports.sources
fi
note "${vfb_step:-}installing ${#missing[@]} packages and what they need: ${missing[*]}${need_qemu:+ qemu-system-x86}"
apt_get "lists of packages" update
[ ${#missing[@]} = 0 ] || apt_get packages --no-install-recommends install "${missing[@]}"
[ -z "$need_qemu" ] || apt_get QEMU --no-install-recommends -t "$suite" install qemu-system-x86
fetch_newer
