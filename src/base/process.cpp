// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/process.hpp"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <sstream>

namespace vfb {

Result<ProcessId> identify_process(const Dir& proc, pid_t pid) {
    const std::string name = std::to_string(pid) + "/stat";
    const std::string operation = "identify process " + std::to_string(pid);
    auto text = proc.read(name);
    if (!text)
        return fail(Code::not_found, operation, std::to_string(pid), "it does not exist any more");
    // The second field is the name in parentheses and may hold anything, so count from its end.
    const auto close = text->rfind(')');
    if (close == std::string::npos)
        return fail(Code::failed, operation, std::to_string(pid), "cannot read " + proc.path(name));
    std::istringstream fields(text->substr(close + 1));
    std::string state;
    std::string skipped;
    fields >> state;
    for (int field = 4; field < 22; ++field) fields >> skipped;
    ProcessId process{.pid = pid};
    if (!(fields >> process.start_time))
        return fail(Code::failed, operation, std::to_string(pid), "cannot read " + proc.path(name));
    if (state == "Z" || state == "X")
        return fail(Code::not_found, operation, std::to_string(pid), "it has ended");
    return process;
}

std::string process_name(const Dir& proc, pid_t pid) {
    return proc.read(std::to_string(pid) + "/comm").value_or("?");
}

Result<UniqueFd> open_pidfd(const Dir& proc, const ProcessId& process) {
    const std::string operation = "watch process " + std::to_string(process.pid);
    UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
    if (!fd) return fail_errno(errno, operation, std::to_string(process.pid));
    // Opened first, compared after: if the start time is right now, the pidfd is of that process.
    VFB_TRY(const auto now, identify_process(proc, process.pid));
    if (now != process)
        return fail(Code::not_found, operation, std::to_string(process.pid),
                    "the process is gone and its number belongs to another");
    return fd;
}

Result<std::string> own_program() {
    std::array<char, PATH_MAX> path{};
    const ssize_t n = ::readlink(kOwnImage, path.data(), path.size());
    if (n < 0) return fail_errno(errno, "find the running program", "self");
    std::string program(path.data(), static_cast<std::size_t>(n));
    // What the kernel adds when the file has gone; a file that is really called so is there.
    constexpr std::string_view kDeleted = " (deleted)";
    if (program.ends_with(kDeleted) && ::access(program.c_str(), F_OK) != 0)
        program.resize(program.size() - kDeleted.size());
    return program;
}

void name_process(const std::string& name) {
    ::prctl(PR_SET_NAME, name.c_str());
}

}  // namespace vfb
