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

// Where the running program is installed. After an upgrade another program has that path: to start
// the running one again, see kOwnImage.
Result<std::string> own_program();
// For exec(3) and posix_spawn(3): the very program that is running, also when an upgrade has
// removed or replaced its file. A process started by it is named "exe" until it names itself, see
// name_process().
inline constexpr const char* kOwnImage = "/proc/self/exe";
// What ps(1) and /proc/PID/comm show of this process from now on; at most 15 bytes of it.
void name_process(const std::string& name);

}  // namespace vfb
