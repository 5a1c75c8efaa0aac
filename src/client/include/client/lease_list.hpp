// SPDX-License-Identifier: LGPL-2.1-or-later
//
// io.vfbroker.ListLeases as values, for those who look for leases of theirs.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/client.hpp"

namespace vfb::client {

struct HeldFunction {
    std::string address;
    std::int64_t generation = 0;
    bool lost = false;  // it went away under the lease
};

struct LeaseSummary {
    std::int64_t id = 0;
    std::int64_t uid = 0;
    std::int64_t pid = 0;
    std::string owner;                    // `connection`, `process`, `guest`
    std::string guest;                    // empty: none was named
    std::vector<HeldFunction> functions;  // never empty

    [[nodiscard]] bool holds(const std::string& address) const;
};

// Leases of the caller; of everybody for root. `timeout` as of Client::call().
Result<std::vector<LeaseSummary>> leases(
    Client& client, std::optional<std::chrono::milliseconds> timeout = std::nullopt);
// The parameters of such a reply. Code::protocol when they are not.
Result<std::vector<LeaseSummary>> read_leases(const proto::Json& parameters);
// Releases it; that it has ended meanwhile is as good.
Result<> end(Client& client, const LeaseSummary& lease);

}  // namespace vfb::client
