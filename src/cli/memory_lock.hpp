// SPDX-License-Identifier: GPL-2.0-or-later
//
// How much memory a VMM must be able to lock: VFIO pins the guest's memory, and some more for the
// memory of devices that the guest maps. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace vfb::cli {

// `pinned` and a reserve, within `bound` of the pool. Code::denied when the pool does not let that
// much be locked. `privileged`: the bound does not count for root.
Result<std::int64_t> memory_lock_for(const std::string& pool, std::uint64_t pinned,
                                     std::uint64_t bound, bool privileged);

}  // namespace vfb::cli
