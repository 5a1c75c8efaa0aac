# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# apt for the scripts of the testbed: tells how far it is, and what to do when it fails. Sourced after
# lib.sh, never run.

# $vfb_step, when set, is where this is in something larger: `1 of 4: `.
apt_log=${TMPDIR:-/tmp}/vfbroker-apt.log

# tell_progress TEXT: on one line that is rewritten on a terminal, every ten seconds elsewhere.
tell_progress() {
    if [ -t 2 ]; then
        printf '\r\033[K%s' "${vfb_step:-}$1" >&2
    elif [ $((SECONDS - ${told_at:--10})) -ge 10 ]; then
        told_at=$SECONDS
        note "${vfb_step:-}$1"
    fi
}

# apt_progress WHAT: from apt's machine readable status (README.progress-reporting of apt).
apt_progress() {
    local kind subject percent told_at='' count=0
    while IFS=: read -r kind subject percent _; do
        count=$((count + 1))
        case $kind in
            dlstatus) tell_progress "$1: fetching, ${percent%.*} %" ;;
            pmstatus) tell_progress "$1: installing, ${percent%.*} % ($subject)" ;;
        esac
    done
    if [ -t 2 ] && [ $count -gt 0 ]; then echo >&2; fi
}

# apt_hint: what to do about the failure that is in the log.
apt_hint() {
    if grep -qE 'No space left|not have enough free space' "$apt_log"; then
        echo "the disk is full: df -h / ; then the same command again goes on from here"
    elif grep -qE 'Could not get lock|Unable to acquire the dpkg frontend lock' "$apt_log"; then
        echo "another program installs packages; the same command again when it is done"
    elif grep -qE 'Could not resolve|Temporary failure resolving|Could not connect|Connection (failed|timed out)' "$apt_log"; then
        echo "the mirror cannot be reached: see the network and /etc/apt/sources.list.d; then the same command again"
    else
        echo "the whole of it is in $apt_log; the same command again goes on from here"
    fi
}

# new_apt FOLDER SUITE...: makes it the folder of an apt that knows these suites and nothing else, apart from
# that of this system.
new_apt() {
    mkdir -p "$1"/{lists,archives}/partial
    : >"$1/status"
    apt_source "${*:2}" >"$1/list.sources"
}

# apt_options FOLDER: for the apt of that folder, one a line.
apt_options() {
    printf -- '-o\n%s\n' Dir::Etc::sourcelist="$1/list.sources" Dir::Etc::sourceparts=- Dir::State="$1" \
        Dir::State::status="$1/status" Dir::Cache="$1" Acquire::Languages=none APT::Sandbox::User=root
}

# apt_get WHAT ARG...: apt-get, with progress under the name WHAT. Waits two minutes for others who install.
apt_get() {
    local what=$1
    shift
    if ! apt-get -qy -o DPkg::Lock::Timeout=120 -o APT::Status-Fd=3 "$@" \
        3> >(apt_progress "$what") >"$apt_log" 2>&1 </dev/null; then
        grep -E '^(E|W|dpkg):' "$apt_log" >&2 || tail -n 3 "$apt_log" >&2
        die "$what: apt-get failed" "$(apt_hint)"
    fi
}
