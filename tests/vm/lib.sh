# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What the scripts of the testbed share. Sourced, never run.

# Both are used by the scripts that source this file.
# shellcheck disable=SC2034
vfb_repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
vfb_cache=${VFBROKER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vfbroker}

note() { printf '%s\n' "$*" >&2; }

# die MESSAGE [HINT]: what failed, and what to do next.
die() {
    note "${0##*/}: $1"
    [ -z "${2:-}" ] || note "hint: $2"
    exit 1
}

# The comment block at the head of a script is its help: one text, in one place.
usage() { sed -n '3,/^$/s/^# \{0,1\}//p' "$0"; }

# agree_to_suite SUITE WHY: asks before apt gets another suite; CI=true and ./dev --yes have said yes already.
agree_to_suite() {
    local answer
    if [ "${CI:-}" = true ] || [ "${VFB_YES:-}" = 1 ]; then return; fi
    note "./dev is for developers' machines. It wants to add the suite $1 to apt, for $2." \
        "A host that is to use vfbroker needs its package only: README.md, Use on real hardware."
    if [ -t 0 ] && [ -t 2 ]; then
        read -rp 'Add it? [y/N] ' answer
        case $answer in [yY] | [yY][eE][sS]) return ;; esac
        die "nothing was changed" "./dev --help"
    fi
    die "the suite $1 is not added without a yes" "./dev --yes COMMAND, or CI=true in the environment"
}

# configure PRESET: in the root of the project.
configure() {
    # From the environment, not from the presets: those would fail where ccache is missing. CMake
    # looks at it when it configures for the first time only.
    if command -v ccache >/dev/null; then
        export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
    fi
    cmake --preset "$1"
}

# apt_source SUITE: a source of apt for that suite of Debian, on the mirror that this machine already
# uses for Debian 12 itself.
apt_source() {
    local uri sources
    mapfile -t sources < <(find /etc/apt/sources.list /etc/apt/sources.list.d -type f \
        '(' -name '*.list' -o -name '*.sources' ')' 2>/dev/null)
    # Stanzas of deb822 files, in which the order of the fields is free, and lines of the old kind.
    uri=$(awk '
        function stanza() { if (uris && suites ~ / bookworm( |$)/) { print uris; done = 1; exit }
                            uris = suites = "" }
        FNR == 1 || /^$/ { stanza() }
        /^URIs:/ { uris = $2 }
        /^Suites:/ { suites = $0 }
        /^deb / { for (i = 2; i < NF; i++)
                      if ($i ~ /^[a-z+]+:/) { uris = $i; suites = " " $(i + 1); stanza() } }
        END { if (!done) stanza() }
    ' "${sources[@]}")
    [ -n "$uri" ] || die "no apt source has the suite bookworm" \
        "this needs Debian 12; see /etc/apt/sources.list.d"
    printf '%s\n' 'Types: deb' "URIs: $uri" "Suites: $1" 'Components: main' \
        'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg'
}
