// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool_facts.hpp"

#include <algorithm>

#include "output/fields.hpp"

namespace vfb::cli {

Result<PoolFacts> pool_facts(client::Client& client, const std::string& pool) {
    PoolFacts facts;
    VFB_TRY(const auto pools, client.call("ListPools", proto::Json::object()));
    for (const auto& entry : elements(pools.parameters, "pools")) {
        if (text(entry, "name") != pool) continue;
        facts.backend = text(entry, "backend");
        const auto& bound = member(entry, "memoryLockMax");
        if (bound.is_number_unsigned()) facts.memory_lock_max = bound.get<std::uint64_t>();
    }
    if (!facts.backend.empty()) return facts;
    VFB_TRY(const auto status, client.call("Status", proto::Json::object()));
    const auto backends = elements(status.parameters, "backends");
    const bool iommufd = std::ranges::find(backends, "iommufd") != backends.end();
    facts.backend = iommufd ? "iommufd" : "group";
    return facts;
}

void choose_hand_off(client::LeaseRequest& request, const PoolFacts& pool) {
    if (!request.backend) request.backend = pool.backend;
    request.hand_off = *request.backend == "iommufd" ? "descriptors" : "node";
}

}  // namespace vfb::cli
