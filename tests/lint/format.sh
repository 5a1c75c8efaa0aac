#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every C and C++ file is as .clang-format has it.

set -euo pipefail
cd "$(dirname "$0")/../.."
git ls-files -coz --exclude-standard '*.c' '*.h' '*.cpp' '*.hpp' |
    xargs -0r clang-format-19 --dry-run -Werror
