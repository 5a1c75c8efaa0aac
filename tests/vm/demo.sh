#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: ./dev demo [--kernel stock|full] [--all]
#
# Plays the main job on the emulated machine: VFs go to guests whose VMMs have no privileges, two from
# overlays of one image and a thin one; they talk over them, one from a container inside. When they are
# killed the VFs come back clean and go to somebody else. What does not come true ends it.
#
#   --kernel stock|full  Debian's kernel, which has VFIO's group backend (default), or one with iommufd, which
#                        is compiled first: ten minutes and more
#   --all                at the end one VF goes from QEMU to libvirt and then to podman, which are installed
#
# The first time it installs what it needs, about 130 packages with the compiler, and compiles the programs:
# eight minutes on two idle processors. It can be stopped at any time; the next run goes on from there.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/apt.sh"
kernel=stock part=demo
while [ $# -gt 0 ]; do
    case $1 in
        --help) usage; exit ;;
        --kernel) kernel=${2:?--kernel needs stock or full} && shift ;;
        --all) part=demo-all ;;
        *) die "unknown option '$1'" "./dev demo --help" ;;
    esac
    shift
done
case $kernel in stock | full) ;; *) die "unknown kernel '$kernel'" "stock or full" ;; esac

# Packages while they are unpacked, programs, a kernel and QEMU; what is left when compiling has begun.
need_mib=2000
[ ! -e "$vfb_repo/build/$part/build.ninja" ] || need_mib=1000
# room DIR: says so before half of it is there.
room() {
    local free dir=$1
    while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
    free=$(df -Pm "$dir" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge "$need_mib" ] ||
        die "$dir has $free MiB left, and the first run needs $need_mib MiB" \
            "make room there, or set VFBROKER_CACHE to a folder that has it"
}
[ -e "$vfb_cache/demo-$part" ] || { room "$vfb_repo" && room "$vfb_cache"; }

# compile: says how far it is, and what is left, also while one file takes long.
compile() {
    local line='' code began=$SECONDS files=0 all='' left='' log=build/$part/log
    exec {lines}< <(NINJA_STATUS='@%f %t ' cmake --build --preset "$part" 2>&1; echo "ended with $?")
    : >"$log"
    while IFS= read -r -t 5 -u "$lines" line || [ $? -gt 128 ]; do
        case $line in
            @*) read -r files all _ <<<"${line#@}" ;;
            'ended with '*) break ;;
            ?*) printf '%s\n' "$line" >>"$log" ;;
        esac
        [ "$files" = 0 ] || left=", about $(((SECONDS - began) * (all - files) / files + 1)) s left"
        tell_progress "compiling${all:+, $files of $all}$left"
        line=''
    done
    if [ -t 2 ]; then echo >&2; fi
    code=${line#ended with }
    [ "$code" = 0 ] || { tail -n 30 "$log" >&2; return 1; }
}

trap 'note "" "stopped; nothing is half done: ./dev demo goes on from here"; exit 130' INT TERM
steps=4
# step N: what the others put before what they tell.
step() { export vfb_step="$1 of $steps: "; }

step 1
parts=("$part")
[ "$kernel" = stock ] || parts+=(test)
"$vfb_repo/tests/vm/setup.sh" "${parts[@]}"

step 2
"$vfb_repo/tests/vm/kernels.sh" "$kernel" >/dev/null

step 3
cd "$vfb_repo"
[ -e "build/$part/build.ninja" ] || { note "${vfb_step}configuring" && configure "$part" >/dev/null; }
compile || {
    why="see above"
    ! grep -q 'No space left' "build/$part/log" || why="the disk is full: df -h . /tmp"
    die "the programs did not compile" "$why; then ./dev demo again goes on from here"
}
mkdir -p "$vfb_cache"
touch "$vfb_cache/demo-$part"

step 4
note "${vfb_step}starting the emulated machine"
trap - INT TERM
scenes=()
[ $part = demo ] || scenes=(--all)
exec "$vfb_repo/tests/vm/vm.sh" --kernel "$kernel" --timeout 1800 -- \
    env "VFB_BUILD=build/$part" bash tests/vm/demo/inside "${scenes[@]}"
