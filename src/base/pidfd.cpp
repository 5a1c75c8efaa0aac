// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/pidfd.hpp"

#include <poll.h>

#include <sstream>
#include <string>

namespace vfb {

Result<ProcessId> identify_pidfd(int pidfd) {
    const std::string operation = "identify the process of descriptor " + std::to_string(pidfd);
    VFB_TRY(const auto proc, Dir::open("/proc"));
    std::istringstream info(proc.read("self/fdinfo/" + std::to_string(pidfd)).value_or(""));
    pid_t pid = 0;
    for (std::string line; std::getline(info, line);)
        if (line.starts_with("Pid:")) std::istringstream(line.substr(4)) >> pid;
    if (pid == 0)
        return fail(Code::invalid, operation, std::to_string(pidfd), "it is no pidfd",
                    "see pidfd_open(2)");
    if (pid < 0)
        return fail(Code::not_found, operation, std::to_string(pidfd), "that process has ended");
    VFB_TRY(const auto process, identify_process(proc, pid));
    // It was that process, and not another of its number, if it lives still.
    pollfd poll{.fd = pidfd, .events = POLLIN, .revents = 0};
    if (::poll(&poll, 1, 0) != 0)
        return fail(Code::not_found, operation, std::to_string(pid), "that process has ended");
    return process;
}

}  // namespace vfb
