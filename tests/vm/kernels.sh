#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: tests/vm/kernels.sh [stock|full|all|6.1|7]
#
# Gets the test kernels into the cache and prints the folder of each, one a line:
#   stock   Debian's own 6.12 kernel with its modules: VFIO's group backend only
#   full    built from Debian's 6.12 source with kernel.config: iommufd, devlink, vdpa, ...
#   all     these two
#   6.1     Debian 12's kernel
#   7       the newest one of Debian 13's backports
# A folder holds bzImage, config, version, and lib/modules but for full. A kernel is kept by what
# it was made from; making "full" takes about ten minutes on two cores, once.

set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/apt.sh"

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

# make_debian DIR APT PACKAGE...: puts Debian's kernel and its modules into DIR. APT is the folder of an apt apart
# from that of this system (apt_options), or empty.
make_debian() {
    local dir=$1 apt=$2 options=() deb lib
    shift 2
    [ -z "$apt" ] || mapfile -t options < <(apt_options "$apt")
    note "${vfb_step:-}fetching $*"
    (cd "$dir" && apt_get "kernel $1" "${options[@]}" download "$@")
    for deb in "$dir"/*.deb; do dpkg -x "$deb" "$dir/package"; done
    # Since 7.2 all of it is with the modules.
    lib=$dir/package/usr/lib
    [ -d "$lib/modules" ] || lib=$dir/package/lib
    mkdir "$dir/lib"
    mv "$lib/modules" "$dir/lib/modules"
    ls "$dir/lib/modules" >"$dir/version"
    mv "$dir"/package/boot/vmlinuz-* "$dir/bzImage" 2>/dev/null ||
        mv "$dir"/lib/modules/*/vmlinuz "$dir/bzImage"
    mv "$dir"/package/boot/config-* "$dir/config" 2>/dev/null || mv "$dir"/lib/modules/*/config "$dir/config"
    rm -rf "$dir/package" "$dir"/*.deb
    depmod -b "$dir" "$(cat "$dir/version")"
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

# newest PATTERN: of the names on standard input.
newest() { { grep -xE "$1" || true; } | sort -V | tail -1; }

# kept PATTERN: the newest one that is here.
kept() { find "$vfb_cache/kernels" -maxdepth 1 -printf '%f\n' | newest "$1"; }

# of_this_system NAME PACKAGES: Debian's kernel in the package that matches, as NAME-VERSION. What is here
# counts; only when there is none, the newest one that Debian has.
of_this_system() {
    local have package=''
    have=$(kept "$1-.*-amd64")
    if [ -z "$have" ]; then
        package=$(apt-cache pkgnames linux-image- | newest "$2")
        [ -n "$package" ] || die "apt knows no $2" "apt-get update"
        have=${package#linux-image-}
        have=$1-${have%-unsigned}
    fi
    keep "$have" make_debian '' "$package"
}

stock() { of_this_system stock 'linux-image-6\.12[0-9.]*\+deb[0-9]+-amd64-unsigned'; }

# The same of Debian 13's backports, which this system does not have: in three packages.
of_backports() {
    local have apt='' version='' options
    have=$(kept '7-.*-amd64')
    if [ -z "$have" ]; then
        apt=$(mktemp -d)
        # shellcheck disable=SC2064 # now
        trap "rm -rf '$apt'" EXIT
        new_apt "$apt" trixie-backports
        mapfile -t options < <(apt_options "$apt")
        apt_get "lists of packages of trixie-backports" "${options[@]}" update
        version=$(apt-cache "${options[@]}" pkgnames linux-image- |
            newest 'linux-image-[7-9][0-9.]*\+deb13-amd64')
        version=${version#linux-image-}
        [ -n "$version" ] || die "trixie-backports has no linux-image-7" "stock, full or 6.1"
        have=7-$version
    fi
    keep "$have" make_debian "$apt" "linux-base-$version" "linux-binary-$version" "linux-modules-$version"
}

mkdir -p "$vfb_cache/kernels"
case ${1:-all} in
    stock) stock ;;
    full) full ;;
    all) stock; full ;;
    6.1) of_this_system 6.1 'linux-image-6\.1\.[0-9]+-[0-9]+-amd64-unsigned' ;;
    7) of_backports ;;
    --help) usage ;;
    *) die "unknown kernel '$1'" "stock, full, all, 6.1 or 7" ;;
esac
