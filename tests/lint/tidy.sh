#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# clang-tidy over every C++ file that build/dev compiles. What was clean is not looked at again
# until its text, a header of it, its flags or .clang-tidy change.

set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/vm/lib.sh
# Some headers may be made by the build; the compile commands are what is needed.
[ -e build/dev/compile_commands.json ] || cmake --preset dev >/dev/null
exec python3 tests/lint/tidy.py build/dev/compile_commands.json "$vfb_cache/tidy"
