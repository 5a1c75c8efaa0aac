#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: tests/packaging/older.sh FOLDER OLDER
#
# Makes of the packages in FOLDER those of an earlier version, in OLDER: the same files as version
# 0.0.1, which is what an upgrade and a downgrade start from.

set -euo pipefail
folder=$1 older=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$older"
mkdir "$older"
for deb in "$folder"/*.deb; do
    case $deb in *-dbgsym_*) continue ;; esac
    name=${deb##*/}
    name=${name%%_*}
    dpkg-deb -R "$deb" "$work/$name"
    version=$(dpkg-deb -f "$deb" Version)
    sed -i -e 's/^Version: .*/Version: 0.0.1/' -e "s/(= ${version//./\\.})/(= 0.0.1)/g" "$work/$name/DEBIAN/control"
    # Not compressed: it is unpacked under emulation.
    dpkg-deb --root-owner-group -Znone -b "$work/$name" "$older/${name}_0.0.1.deb" >/dev/null
done
