# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # suite and vfb_cache: of those who source this
# A root of $suite of Debian with what debian/control wants for building. Sourced, never run, after
# tests/vm/lib.sh. bookworm is this machine itself: it is what everything else here needs too.

# build_depends: the names in Build-Depends, the first of each alternative that $suite's apt knows.
build_depends() {
    sed -n '/^Build-Depends:/,/^[^ ]/{s/^ \(.*\),$/\1/p}' "$vfb_repo/debian/control" |
        sed 's/ *<!nocheck>//; s/ *([^)]*)//g; s/debhelper-compat/debhelper/'
}

# suite_number: how Debian counts it, deb12.
suite_number() {
    case $suite in
        bookworm) echo deb12 ;;
        trixie) echo deb13 ;;
        *) echo "$suite" | tr -cd 'a-z0-9' ;;
    esac
}

root=$vfb_cache/roots/$suite

# install_here PACKAGE...: what is missing on this machine.
install_here() {
    local installed missing=() package
    installed=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' | sed -n 's/^ii *//p')
    for package; do
        grep -qx "$package" <<<"$installed" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || die "packages are missing: ${missing[*]}" "run this once as root"
    note "installing: ${missing[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install "${missing[@]}" >&2 ||
        die "apt-get install failed" "apt-get update"
}

# make_root PACKAGE...: with these as well. Made once, and again when it lacks one, with all it had.
make_root() {
    local wanted alternatives name packages=("$@") has missing check=true
    mapfile -t wanted < <(build_depends)
    for alternatives in "${wanted[@]}"; do
        # Of `systemd-dev | systemd` the second is Debian 12's.
        name=${alternatives%% |*}
        [ "$suite" != bookworm ] || name=${alternatives##*| }
        packages+=("$name")
    done
    if [ "$suite" = bookworm ]; then
        install_here "${packages[@]}"
        return
    fi
    [ "$(id -u)" = 0 ] || die "a root of $suite is made by root" "sudo ./dev …"
    install_here mmdebstrap
    local lock
    mkdir -p "$vfb_cache/roots"
    exec {lock}>"$root.lock"
    flock "$lock"
    has=$(cat "$root/.packages" 2>/dev/null || true)
    missing=$(printf '%s\n' "${packages[@]}" | grep -vxF "${has:-none}" || true)
    if [ -n "$missing" ]; then
        # shellcheck disable=SC2206 # names of packages
        packages+=($has)
        note "making a root of $suite: ${#packages[@]} packages and what they need"
        rm -rf "$root" "$root.new"
        apt_source "$suite" >"$root.sources"
        # As this machine has it: a mirror that is a snapshot is older than its lists are valid.
        eval "$(apt-config shell check Acquire::Check-Valid-Until)"
        mmdebstrap --quiet --mode=root --variant=apt --include="$(IFS=,; echo "${packages[*]}")" \
            --aptopt="Acquire::Check-Valid-Until \"$check\"" "$suite" "$root.new" "$root.sources" >&2 ||
            die "cannot make a root of $suite" "is the mirror reachable, and does it have $suite?"
        printf '%s\n' "${packages[@]}" | sort -u >"$root.new/.packages"
        mv "$root.new" "$root"
    fi
    exec {lock}>&-
}

# in_root FOLDER COMMAND...: in that folder of this machine, which is seen in the root as /build, and
# the folder above it as /build/..
in_root() {
    local folder=$1
    shift
    if [ "$suite" = bookworm ]; then
        (cd "$folder" && "$@")
        return
    fi
    # shellcheck disable=SC2016 # by the shell inside
    unshare --mount --pid --fork --kill-child --propagation private bash -c '
        set -e
        root=$1 folder=$2
        shift 2
        mkdir -p "$root/build"
        mount --bind "$(dirname "$folder")" "$root/build"
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount -t sysfs -o ro sysfs "$root/sys"
        cd /
        exec chroot "$root" bash -c "cd \"/build/\$1\" && shift && exec \"\$@\"" bash \
            "$(basename "$folder")" "$@"
    ' bash "$root" "$folder" "$@"
}

# in_root_path FOLDER: how a folder is called in the root while a command runs in one of its own folders.
in_root_path() { if [ "$suite" = bookworm ]; then echo "$1"; else echo /build; fi; }

# copy_tree FOLDER: the working tree into it, without what git ignores.
copy_tree() {
    mkdir "$1"
    git -C "$vfb_repo" ls-files -z --cached --others --exclude-standard --deduplicate |
        tar -C "$vfb_repo" --null -T - --ignore-failed-read -cf - |
        tar -C "$1" --no-same-owner -xf -
}
