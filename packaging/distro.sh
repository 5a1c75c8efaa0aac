#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: ./dev distro SUITE [--compiler COMPILER] [-- CTEST ARGS]
#
# Builds everything in a root of that suite of Debian (bookworm, trixie, testing), with what
# debian/control wants for building, warnings being errors, and runs the unit tests there. The root is
# made from the mirror that this machine uses; it is kept, like what was compiled.
#
#   --compiler COMPILER   gcc-14, clang-19 and so on, of that suite; its g++ by default

set -euo pipefail
. "$(dirname "$0")/../tests/vm/lib.sh"

suite=${1:---help} compiler=g++
[ "$suite" != --help ] || { usage; exit; }
shift
while [ $# -gt 0 ]; do
    case $1 in
        --compiler) compiler=${2:?} && shift ;;
        --) shift && break ;;
        *) die "unknown option '$1'" "./dev distro --help" ;;
    esac
    shift
done
. "$vfb_repo/packaging/root.sh"

case $compiler in
    gcc-*) cc=$compiler cxx=g++-${compiler#gcc-} package=$cxx ;;
    clang-*) cc=$compiler cxx=clang++-${compiler#clang-} package=$compiler ;;
    *) cc=gcc cxx=g++ package=g++ ;;
esac
# What the tests start; each says so and is left out where it is missing, but those are most of it.
make_root "$package" ccache git python3 procps iproute2 pciutils bash-completion zsh fish

work=$vfb_cache/distro/$suite-$compiler
mkdir -p "$work/ccache"
exec {lock}>"$work.lock"
flock "$lock"
rm -rf "$work/vfbroker"
trap 'rm -rf "$work/vfbroker"' EXIT
copy_tree "$work/vfbroker"
# The tests of the ABI's record are of the compiler that it was recorded with, Debian 12's.
left_out=()
[ "$suite-$compiler" = bookworm-g++ ] || left_out=(-E client_abi)
# shellcheck disable=SC2016 # by the shell in the root
in_root "$work/vfbroker" env LC_ALL=C.UTF-8 CC="$cc" CXX="$cxx" CCACHE_NOHASHDIR=true \
    CCACHE_DIR="$(in_root_path "$work")/ccache" CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache \
    bash -c 'set -e
             "$CXX" --version | sed q
             cmake --preset dev >cmake.log || { cat cmake.log; exit 1; }
             cmake --build --preset dev -- -k 0
             ctest --test-dir build/dev -L unit --output-on-failure --parallel 2 "$@"' bash "${left_out[@]}" "$@"
