// SPDX-License-Identifier: GPL-2.0-or-later
//
// How much memory a VMM must be able to lock: VFIO pins the guest's memory, and some more for the
// memory of devices that the guest maps. Pure, but for memory_lock_limit().
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace vfb::cli {

// `pinned` and a reserve, within `bound` of the pool. Code::denied when the pool does not let that
// much be locked. `privileged`: the bound does not count for root.
Result<std::int64_t> memory_lock_for(const std::string& pool, std::uint64_t pinned,
                                     std::uint64_t bound, bool privileged);

// The same for a process whose limit is `limit` now: 0, as leases are asked to leave it alone, when
// that is high enough, whatever the bound.
Result<std::int64_t> memory_lock_beyond(std::uint64_t limit, const std::string& pool,
                                        std::uint64_t pinned, std::uint64_t bound, bool privileged);

// The limit that a process has.
Result<std::uint64_t> memory_lock_limit(pid_t pid);

}  // namespace vfb::cli
