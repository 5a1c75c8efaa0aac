# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for vfbroker: asks the program, which asks the daemon.
_vfbroker() {
    # Not COMP_WORDS, which are broken at the colons of addresses.
    local line=${COMP_LINE:0:COMP_POINT} words cur candidates candidate prefix
    read -ra words <<<"$line"
    [[ $line != *[[:space:]] ]] || words+=('')
    cur=${words[-1]}
    mapfile -t candidates < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
    COMPREPLY=()
    if [[ ${candidates[0]} == :file ]]; then
        compopt -o default 2>/dev/null
        return
    fi
    # What stands before the last break is in the line already.
    prefix=${cur%"${cur##*[:=]}"}
    for candidate in "${candidates[@]}"; do
        candidate=${candidate%%$'\t'*}
        COMPREPLY+=("${candidate#"$prefix"}")
    done
}
complete -F _vfbroker vfbroker
