// SPDX-License-Identifier: GPL-2.0-or-later
//
// What has to be known of a pool before a lease is asked for. The daemon chooses a backend as it
// grants the lease, but how to hand over follows from the backend and has to be said with the
// request.
#pragma once

#include <cstdint>
#include <string>

#include "client/lease.hpp"

namespace vfb::cli {

struct PoolFacts {
    std::string backend;                // the pool's, or the best that the kernel has
    std::uint64_t memory_lock_max = 0;  // bytes
};

Result<PoolFacts> pool_facts(client::Client& client, const std::string& pool);

// Sets backend, if it is not chosen yet, and hand-off.
void choose_hand_off(client::LeaseRequest& request, const PoolFacts& pool);

}  // namespace vfb::cli
