#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: tests/first-hour.sh [--runs N] [--busy N] [--keep]
#
# What somebody sees who has a bare Debian 12 and types the README's first command: makes such a system in a
# folder (debootstrap, minbase), clones this repository into it, and runs ./dev demo there, in namespaces of
# its own. Fails when the demo does, or when it takes more than this up to its first scene:
#   150 packages, 15 minutes of processor time, 600 MB received, a minute without a word
#
#   --runs N  the demo N times there; the first one is measured
#   --busy N  beside N processes that only use a processor
#   --keep    leave the system in its folder, for another look
#
# Needs root, and a Debian mirror in /etc/apt.

set -euo pipefail
. "$(dirname "$0")/vm/lib.sh"
. "$(dirname "$0")/vm/apt.sh"
runs=1 busy=0 keep=''
while [ $# -gt 0 ]; do
    case $1 in
        --help) usage; exit ;;
        --runs) runs=${2:?--runs needs a number} && shift ;;
        --busy) busy=${2:?--busy needs a number} && shift ;;
        --keep) keep=yes ;;
        *) die "unknown option '$1'" "tests/first-hour.sh --help" ;;
    esac
    shift
done
most_packages=150 most_cpu_seconds=900 most_megabytes=600 longest_silence=60
first_scene='^# A machine with an SR-IOV NIC'

[ "$(id -u)" = 0 ] || die "only root can make a system in a folder" "sudo $0"
command -v debootstrap >/dev/null || apt_get debootstrap install debootstrap
cgroups=$(findmnt -nt cgroup2 -o TARGET | head -1)
[ -n "$cgroups" ] || die "no cgroup2 is mounted, which counts processor time" "mount -t cgroup2 cgroup2 DIR"

loops=()
work=$(mktemp -d /var/tmp/vfb-first-hour.XXXXXX)
root=$work/root cgroup=$cgroups/${work##*/}
# Whatever mounts there were are gone with their namespace.
# shellcheck disable=SC2317
cleanup() {
    [ -z "${demo:-}" ] || kill -KILL "$demo" 2>/dev/null || true
    for pid in "${loops[@]}"; do kill "$pid"; done
    wait || true
    rmdir "$cgroup" 2>/dev/null || true
    if [ -n "$keep" ]; then note "the system is in $root"; else rm -rf --one-file-system "$work"; fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# The bare system, kept as a tarball; apt's sources are this machine's, but for those that ./dev added.
bare=$vfb_cache/first-hour/bookworm.tar
if [ ! -e "$bare" ]; then
    mkdir -p "${bare%/*}"
    note "making a bare Debian 12"
    debootstrap --variant=minbase bookworm "$work/made" \
        "$(apt_source bookworm | sed -n 's/^URIs: //p')" >"$work/log" 2>&1 ||
        die "debootstrap failed: $(tail -n 1 "$work/log")" "is the mirror reachable?"
    rm -f "$work"/made/var/cache/apt/archives/*.deb
    tar -C "$work/made" -cf "$bare.new" .
    mv "$bare.new" "$bare"
    rm -rf "$work/made"
fi
mkdir -p "$root"
tar -C "$root" -xf "$bare"
rm -rf "$root"/etc/apt/sources.list*
cp -a /etc/apt/. "$root/etc/apt/"
rm -f "$root"/etc/apt/sources.list.d/vfbroker-*
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
git clone -q --no-hardlinks "$vfb_repo" "$root/root/vfbroker"

packages() { chroot "$root" dpkg-query -W | wc -l; }
cpu_seconds() { awk '/^usage_usec/ { print int($2 / 1000000) }' "$cgroup/cpu.stat"; }
received() { awk -F'[: ]+' 'NR > 2 && $2 != "lo" { sum += $3 } END { print int(sum / 1000000) }' /proc/net/dev; }

# Inside its namespaces: what a booted system has, then the README's command.
cat >"$work/type" <<'TYPE'
mount --make-rprivate /
mount -t proc proc "$1/proc"
mount --rbind /sys "$1/sys"
mount --rbind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/run"
cd "$1"
exec chroot . /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
    sh -c 'cd /root/vfbroker && exec ./dev demo'
TYPE
mkdir "$cgroup"

silence=0 seen='' failed=''
# bound WHAT VALUE MOST
bound() {
    local verdict=ok
    [ "$2" -le "$3" ] || verdict=FAILED failed="$failed, $1"
    printf '%-50s %6d, at most %6d  %s\n' "$1" "$2" "$3" "$verdict"
}
# judge: at the first scene.
judge() {
    seen=yes
    {
        bound "packages installed" "$(($(packages) - before))" $most_packages
        bound "seconds of processor time" "$(cpu_seconds)" $most_cpu_seconds
        bound "megabytes received by this machine" "$(($(received) - received_before))" $most_megabytes
        bound "seconds without a word, the longest" "$silence" $longest_silence
        printf '%-50s %6d\n' "seconds on the clock" "$((SECONDS - started))"
    } >"$work/figures"
}
# play: one demo, each line with its time.
play() {
    local line last=$SECONDS
    mkfifo "$work/said"
    bash -c 'echo $$ >"$0" && exec unshare --mount --pid --fork --kill-child bash "$1" "$2"' \
        "$cgroup/cgroup.procs" "$work/type" "$root" >"$work/said" 2>&1 </dev/null &
    demo=$!
    while IFS= read -r line; do
        [ $((SECONDS - last)) -le $silence ] || silence=$((SECONDS - last))
        last=$SECONDS
        printf '%3d:%02d  %s\n' $(((last - started) / 60)) $(((last - started) % 60)) "$line"
        line=${line#$'\e[1m'}
        if [ -z "$seen" ] && [[ $line =~ $first_scene ]]; then judge; fi
    done <"$work/said"
    rm "$work/said"
    wait "$demo" || die "the demo ended with $?, run $run of $runs" "see above"
    demo=''
}

for ((loop = 0; loop < busy; loop++)); do
    while :; do :; done &
    loops+=($!)
done
before=$(packages) received_before=$(received) started=$SECONDS
for ((run = 1; run <= runs; run++)); do play; done
[ -n "$seen" ] || die "the first scene was never seen" "is it still: $first_scene"
beside=''
[ "$busy" = 0 ] || beside=", beside $busy busy processes"
note "demos that came to their end: $runs of $runs$beside"
cat "$work/figures"
[ -z "$failed" ] || die "over the bound: ${failed#, }"
