#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: tests/vm/kernels.sh [stock|full|all]
#
# Gets the test kernels into the cache and prints the folder of each, one a line:
#   stock   Debian's own 6.12 kernel with its modules: VFIO's group backend only
#   full    built from Debian's 6.12 source with kernel.config: iommufd, devlink, vdpa, ...
# A folder holds vmlinux or bzImage, version, and for stock lib/modules. A kernel is kept by what
# it was made from; making "full" takes about ten minutes on two cores, once.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

source_package=linux-source-6.12
fragment=$vfb_repo/tests/vm/kernel.config

# progress LOG SECONDS: what the build is at, on one line that is rewritten on a terminal, and
# every half minute in a log.
progress() {
    local files
    files=$(grep -cE '^  (CC|AS) ' "$1" || true)
    if [ -t 2 ]; then
        printf '\r\033[Kbuilding kernel full: %d files, %d s' "$files" "$2" >&2
    elif [ $(($2 % 30)) = 0 ]; then
        note "building kernel full: $files files, $2 s"
    fi
}

# make_full DIR: builds the kernel and puts it into DIR.
make_full() {
    local tree=$vfb_cache/build/full log=$vfb_cache/build/kernel.log start=$SECONDS option pid
    # What a run that was killed left; the lock is ours.
    rm -rf "$tree"
    mkdir -p "$tree"
    note "unpacking /usr/src/$source_package.tar.xz"
    tar -C "$tree" --strip-components=1 -xf "/usr/src/$source_package.tar.xz"
    (
        cd "$tree"
        make -s tinyconfig
        scripts/kconfig/merge_config.sh -m .config "$fragment"
        make -s olddefconfig
    ) >"$log" 2>&1 || die "configuring the kernel failed" "see $log"
    while IFS='=' read -r option _; do
        grep -q "^$option=" "$tree/.config" ||
            die "$option of kernel.config did not take effect" "what does it depend on?"
    done < <(grep '^CONFIG_' "$fragment")

    make -C "$tree" -j"$(nproc)" bzImage >>"$log" 2>&1 &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        progress "$log" $((SECONDS - start))
        sleep 1
    done
    if [ -t 2 ]; then echo >&2; fi
    wait "$pid" || die "building the kernel failed: $(grep -m1 -i error "$log")" "see $log"
    cp "$tree/arch/x86/boot/bzImage" "$1/bzImage"
    cp "$tree/.config" "$1/config"
    make -s -C "$tree" kernelrelease >"$1/version"
    rm -rf "$tree"
}

# make_stock DIR PACKAGE: puts Debian's kernel and its modules into DIR.
make_stock() {
    note "fetching $2"
    (cd "$1" && apt-get -q download "$2" >&2) || die "cannot fetch $2" "apt-get update"
    dpkg -x "$1"/*.deb "$1/package"
    mv "$1"/package/boot/vmlinuz-* "$1/bzImage"
    mv "$1"/package/boot/config-* "$1/config"
    mv "$1/package/lib" "$1/lib"
    rm -rf "$1/package" "$1"/*.deb
    ls "$1/lib/modules" >"$1/version"
    depmod -b "$1" "$(cat "$1/version")"
}

# keep NAME MAKER [ARG...]: the folder for NAME, made by MAKER if it is not there yet. It appears
# whole or not at all, and of two runs one makes it while the other waits.
keep() {
    local dir=$vfb_cache/kernels/$1 maker=$2 lock
    shift 2
    if [ ! -d "$dir" ]; then
        exec {lock}>"$dir.lock"
        flock -n "$lock" || { note "waiting for another run that makes ${dir##*/}"; flock "$lock"; }
        if [ ! -d "$dir" ]; then
            rm -rf "$dir.new"
            mkdir "$dir.new"
            "$maker" "$dir.new" "$@"
            mv "$dir.new" "$dir"
        fi
        exec {lock}>&-
    fi
    printf '%s\n' "$dir"
}

full() {
    local version hash
    version=$(dpkg-query -W -f '${Version}' "$source_package") ||
        die "$source_package is not installed" "./dev setup"
    hash=$( (echo "$version"; cat "$fragment") | sha256sum | cut -c1-12)
    keep "full-$hash" make_full
}

# The newest one that is here; only when there is none, the newest one that Debian has.
stock() {
    local have package
    have=$(find "$vfb_cache/kernels" -maxdepth 1 -name 'stock-*-amd64' -printf '%f\n' |
        sort -V | tail -1)
    if [ -z "$have" ]; then
        package=$(apt-cache pkgnames linux-image-6.12 |
            { grep -xE 'linux-image-[0-9.]+\+deb[0-9]+-amd64-unsigned' || true; } |
            sort -V | tail -1)
        [ -n "$package" ] || die "apt knows no linux-image-6.12.*-amd64-unsigned" "apt-get update"
        have=${package#linux-image-}
        have=stock-${have%-unsigned}
    fi
    keep "$have" make_stock "${package:-}"
}

mkdir -p "$vfb_cache/kernels"
case ${1:-all} in
    stock) stock ;;
    full) full ;;
    all) stock; full ;;
    --help) usage ;;
    *) die "unknown kernel '$1'" "stock, full or all" ;;
esac
