# SPDX-License-Identifier: GPL-2.0-or-later
# fish completion for vfbroker: asks the program, which asks the daemon.
function __vfbroker_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l lines (command $words[1] __complete $words[2..-1] 2>/dev/null)
    if test "$lines[1]" = :file
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $lines
    end
end
complete -c vfbroker -f -a '(__vfbroker_complete)'
