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

# is_locked: by another program, which is why it failed.
is_locked() { grep -qE 'Could not get lock|Unable to acquire the dpkg frontend lock|was locked by another' "$apt_log"; }

# apt_hint: what to do about the failure that is in the log.
apt_hint() {
    if grep -qE 'No space left|not have enough free space' "$apt_log"; then
        echo "the disk is full: df -h / ; then the same command again goes on from here"
    elif is_locked; then
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

# when_unlocked COMMAND...: with its output in $apt_log. Waits two minutes for others who install.
when_unlocked() {
    local deadline=$((SECONDS + 120))
    until "$@" >"$apt_log" 2>&1 </dev/null; do
        is_locked && [ $SECONDS -lt $deadline ] || return 1
        tell_progress "another program installs packages: waiting until it is done"
        sleep 2
    done
}

# packages_failed WHAT: the first errors in the log, and what to do.
packages_failed() {
    local errors
    mapfile -t errors < <(grep -E '^(E|dpkg):' "$apt_log")
    [ ${#errors[@]} -gt 0 ] || mapfile -t errors < <(tail -n 3 "$apt_log")
    printf '%s\n' "${errors[@]:0:3}" >&2
    [ ${#errors[@]} -le 3 ] || note "and $((${#errors[@]} - 3)) more of the kind"
    die "$1" "$(apt_hint)"
}

# apt_get WHAT ARG...: apt-get, with progress under the name WHAT.
apt_get() {
    when_unlocked apt-get -qy -o APT::Status-Fd=3 "${@:2}" 3> >(apt_progress "$1") ||
        packages_failed "$1: apt-get failed"
}
