#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every shell script is clean to shellcheck: known by its first line, or by the name *.sh.

set -euo pipefail
cd "$(dirname "$0")/../.."
# What busybox runs is checked as dash: shellcheck of Debian 12 does not know busybox.
scripts=() busybox=()
while IFS= read -r -d '' file; do
    case $(head -n1 "$file") in
        '#!'*busybox*) busybox+=("$file") ;;
        '#!'*sh) scripts+=("$file") ;;
        *) case $file in *.sh) scripts+=("$file") ;; esac ;;
    esac
done < <(git ls-files -coz --exclude-standard)
shellcheck "${scripts[@]}"
shellcheck -s dash "${busybox[@]}"
