#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage: tests/packaging/check.sh FOLDER
#
# What ./dev package built, in FOLDER: which files are in which package, that programs and libraries are
# hardened and stripped, with their symbols in packages of their own, and that nothing of the machine that
# built them is in them.
#
# tests/packaging/contents.txt is written anew with VFB_REGENERATE_GOLDEN=1.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
folder=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=''
complain() {
    echo "$*" >&2
    failed=yes
}

# hardened FILE: what dpkg-buildflags wants, and what it wants since Debian 13.
hardened() {
    local file=$1 name=${1#"$work"/} header segments dynamic symbols sections code
    # Not through pipes: grep -q ends at its first match, and readelf by SIGPIPE.
    header=$(readelf -hW "$file") segments=$(readelf -lW "$file") dynamic=$(readelf -dW "$file")
    symbols=$(readelf -sW --dyn-syms "$file") sections=$(readelf -SW "$file")
    code=$(objdump -d --no-show-raw-insn "$file")
    grep -q 'Type: *DYN' <<<"$header" || complain "$name: not position-independent"
    grep -q GNU_RELRO <<<"$segments" || complain "$name: no RELRO"
    grep -qE 'BIND_NOW|FLAGS.*NOW' <<<"$dynamic" || complain "$name: not bound at start (full RELRO)"
    grep -q 'GNU_STACK.* RW  ' <<<"$segments" || complain "$name: executable stack"
    grep -q __stack_chk_fail <<<"$symbols" || complain "$name: no stack protector"
    grep -qE '__[a-z]+_chk(@|$)' <<<"$symbols" || complain "$name: not fortified"
    ! grep -qE ' \.(symtab|debug_info) ' <<<"$sections" || complain "$name: not stripped"
    # The C library's start-up code has some in any program.
    [ "$(grep -c endbr64 <<<"$code")" -gt 50 ] || complain "$name: no -fcf-protection"
    # A page of the stack is touched before the next is taken; only some programs take as much.
    ! grep -qE 'or[qlb] +[$]0x0,(0x[0-9a-f]+)?\(%rsp\)' <<<"$code" || probed="$probed $name"
}

probed=''
shopt -s nullglob
debs=("$folder"/*.deb)
[ ${#debs[@]} -gt 0 ] || { echo "$folder has no packages: ./dev package" >&2; exit 1; }
for deb in "${debs[@]}"; do
    name=${deb##*/}
    name=${name%%_*}
    dpkg-deb -x "$deb" "$work/$name"
    case $name in
        *-dbgsym) continue ;;
    esac
    (cd "$work" && find "$name" ! -type d | LC_ALL=C sort | sed "s|^$name/|$name: /|") >>"$work/contents"
    while IFS= read -r file; do
        if readelf -h "$file" >/dev/null 2>&1; then
            hardened "$file"
            id=$(readelf -nW "$file" | sed -n 's/.*Build ID: //p')
            [ -e "${debs[0]%/*}/$name-dbgsym_${deb#*_}" ] || complain "$name has no symbols: ${file##*/}"
            echo "$name-dbgsym/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug" >>"$work/symbols"
        fi
        # Paths of the machine: where it was built is under one of these.
        if strings -a "$file" | grep -E '/(home|root|tmp|build|work|obj-x86_64-linux-gnu)/' |
            grep -vE '^/(usr|etc|run|var/run)/' | grep -E '\.(cpp|hpp|c|h)\b|vfbroker/'; then
            complain "${file#"$work"/}: has paths of the machine that built it, see above"
        fi
    done < <(find "$work/$name" -type f)
    for wanted in copyright changelog.gz; do
        [ -e "$work/$name/usr/share/doc/$name/$wanted" ] || complain "$name has no $wanted"
    done
done
case $probed in *vfbrokerd*) ;; *) complain "vfbrokerd: no -fstack-clash-protection" ;; esac
while IFS= read -r file; do
    [ -e "$work/$file" ] || complain "no $file"
done <"$work/symbols"

if [ "${VFB_REGENERATE_GOLDEN:-}" = 1 ]; then
    cp "$work/contents" "$here/contents.txt"
fi
diff -u "$here/contents.txt" "$work/contents" >&2 || complain "the packages hold something else: see above"
[ -z "$failed" ]
