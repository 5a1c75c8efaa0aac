#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What no compiler checks: each library of others has one module that uses it, the kernel's trees
# have one module that knows where they are, and nothing names a path of one person's machine.

set -euo pipefail
cd "$(dirname "$0")/../.."
status=0

# refuse WHAT PATTERN PATHSPEC...: no file of PATHSPEC has PATTERN.
refuse() {
    local what=$1 pattern=$2
    shift 2
    if git grep -nP --untracked "$pattern" -- "$@" >&2; then
        echo "boundaries: $what" >&2
        status=1
    fi
}

code=('*.c' '*.h' '*.cpp' '*.hpp')
# owner HEADER FOLDER: only FOLDER, and tests, include HEADER.
owner() {
    refuse "only $2 may include $1" "^ *# *include *[<\"]$1" "${code[@]}" ":!$2" ':!tests/'
}
owner 'linux/(vfio|iommufd)\.h' vfio/
owner 'netlink/' src/nic/
owner 'pci/pci\.h' pci/
owner 'sqlite3\.h' src/broker/
owner 'nlohmann/' src/proto/
owner 'toml\+\+' src/broker/
owner 'libxml/' src/plugins/libvirt/

refuse 'the CLI and the client library speak to the daemon, and share nothing with it but src/base and src/proto' \
    '^ *# *include *[<"](pci|iommu|vfio|nic|broker|doctor|daemon)/' src/cli src/client
refuse 'plugins are clients of the daemon, which may set up links of their own' \
    '^ *# *include *[<"](pci|iommu|vfio|broker|doctor|daemon)/' src/plugins
refuse 'doctor looks on: the daemon uses it, and nothing below does' \
    '^ *# *include *[<"]doctor/' "${code[@]}" ':!src/doctor/' ':!src/daemon/' ':!tests/'

# After a plus it is the end of a path, as in folder + "/dev".
refuse 'only src/base and tests may name a path of the kernel: take a SysRoot' \
    '(?<!\+ )"/(sys|dev|proc)[/"]' "${code[@]}" ':!src/base/' ':!tests/'
# The brackets keep the pattern from finding itself.
refuse 'a path that exists on one machine only' \
    '(^|[^A-Za-z0-9_.})-])/([w]ork|[f]arm|[w]orkspace|[b]uilds|[h]ome/[a-z]+|[U]sers)/' .

# needs HEADER PATTERN PATHSPEC...: whatever of PATHSPEC has PATTERN includes <HEADER> itself.
needs() {
    local header=$1 pattern=$2 file
    shift 2
    while IFS= read -r file; do
        grep -q "^#include <$header>$" "$file" || {
            echo "boundaries: $file has $pattern and does not include <$header>" >&2
            status=1
        }
    done < <(git grep -lP --untracked "$pattern" -- "$@")
}
# Newer libraries bring these with no other header, and who includes our headers has not asked for them.
needs cstdint 'std::u?int(8|16|32|64)_t' '*.hpp'
needs fmt/ranges.h 'fmt::join' '*.cpp' '*.hpp'

while IFS= read -r -d '' file; do
    head -n5 "$file" | grep -q 'SPDX-License-Identifier: ' || {
        echo "$file: no SPDX-License-Identifier in its first lines" >&2
        status=1
    }
done < <(git ls-files -coz --exclude-standard "${code[@]}" '*.sh' '*.py' '*.cmake' \
    CMakeLists.txt '*/CMakeLists.txt' dev .ci/run 'tests/vm/in*' tests/vm/qmp)
exit $status
