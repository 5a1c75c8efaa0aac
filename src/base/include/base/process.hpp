// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Processes as owners: a pid alone may be reused, so a process is (pid, start time), and a pidfd
// tells when it is gone (pidfd_open(2), proc(5) `stat` field 22).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "base/sys_root.hpp"
#include "base/unique_fd.hpp"

namespace vfb {

struct ProcessId {
    pid_t pid = 0;
    std::uint64_t start_time = 0;  // clock ticks since boot
    bool operator==(const ProcessId&) const = default;
};

// Identity of a living process; Code::not_found when there is none (a zombie counts as none).
Result<ProcessId> identify_process(const Dir& proc, pid_t pid);
// Short name (`comm`) for messages; "?" when the process is gone.
std::string process_name(const Dir& proc, pid_t pid);
// A pidfd that is proven to be of that very process.
Result<UniqueFd> open_pidfd(const Dir& proc, const ProcessId& process);

// The program that is running, to start it again in another role.
Result<std::string> own_program();

}  // namespace vfb
