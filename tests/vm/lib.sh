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

# configure PRESET: in the root of the project.
configure() {
    # From the environment, not from the presets: those would fail where ccache is missing. CMake
    # looks at it when it configures for the first time only.
    if command -v ccache >/dev/null; then
        export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
    fi
    cmake --preset "$1"
}
