#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# clang-tidy over every C++ file that is compiled, each by itself, tests excepted. What was clean is not looked at again
# until its text, a header of it, its flags or .clang-tidy change.

set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/vm/lib.sh
# The compile commands are all that is needed, and those of files added since.
configure lint >/dev/null
exec python3 tests/lint/tidy.py build/lint/compile_commands.json "$vfb_cache/tidy"
