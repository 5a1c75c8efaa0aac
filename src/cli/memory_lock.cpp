// SPDX-License-Identifier: GPL-2.0-or-later
#include "memory_lock.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

namespace vfb::cli {

Result<std::int64_t> memory_lock_for(const std::string& pool, std::uint64_t pinned,
                                     std::uint64_t bound, bool privileged) {
    constexpr std::uint64_t kReserve = std::uint64_t{1} << 30;
    constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
    if (!privileged && pinned > bound)
        return fail(Code::denied, "lease from pool " + pool, pool,
                    fmt::format("the guest's memory of {} MiB has to be locked, and the pool's "
                                "bound is {} MiB",
                                pinned >> 20, bound >> 20),
                    "have memlock_max raised in the pool, or give the guest less memory");
    const std::uint64_t wanted = pinned > kMost - kReserve ? kMost : pinned + kReserve;
    return static_cast<std::int64_t>(privileged ? wanted : std::min(wanted, bound));
}

Result<std::int64_t> memory_lock_beyond(std::uint64_t limit, const std::string& pool,
                                        std::uint64_t pinned, std::uint64_t bound,
                                        bool privileged) {
    VFB_TRY(const auto enough, memory_lock_for(pool, pinned, bound, true));
    if (std::cmp_greater_equal(limit, enough)) return 0;
    return memory_lock_for(pool, pinned, bound, privileged);
}

Result<std::uint64_t> memory_lock_limit(pid_t pid) {
    rlimit now{};
    if (::prlimit(pid, RLIMIT_MEMLOCK, nullptr, &now) == 0) return now.rlim_cur;
    return fail_errno(errno, fmt::format("read the memory-lock limit of process {}", pid),
                      std::to_string(pid));
}

}  // namespace vfb::cli
