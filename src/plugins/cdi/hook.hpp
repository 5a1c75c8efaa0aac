// SPDX-License-Identifier: GPL-2.0-or-later
//
// The OCI hooks that the specifications name: createRuntime leases, before the container's process
// begins; poststop releases.
//
// A lease is that of the container's first process and ends with it, whatever becomes of the
// runtime, of its monitor and of the hooks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/sys_root.hpp"
#include "client/lease.hpp"
#include "state.hpp"

namespace vfb::cdi {

struct Wanted {
    std::string pool;
    std::string backend;
    std::optional<std::string> function;  // absent: any that is free
    std::vector<std::string> nodes;       // that the runtime gives to the container for `function`
};

// `memory_lock`: as much as the pool lets its users lock.
client::LeaseRequest request_of(const Wanted& wanted, const State& state, const ProcessId& process,
                                std::optional<std::int64_t> memory_lock);

Result<> lease(const SysRoot& root, const std::string& socket, const Wanted& wanted,
               const State& state);
// All that the container still has; it has ended. What others that live call by its id stays
// theirs.
Result<> release(const SysRoot& root, const std::string& socket, const State& state);

}  // namespace vfb::cdi
