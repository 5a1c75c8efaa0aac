#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# symbols.sh NM LIBRARY LIST: the library exports what LIST says, no more and no less. A name that
# goes from the list is an ABI break and needs a new SOVERSION.
set -eu
"$1" -D --defined-only "$2" | awk '$2 == "T" { print $3 }' | sort | diff -u "$3" -
