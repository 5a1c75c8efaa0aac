// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a client asks for with io.vfbroker.Lease, and what it gets: plain values, checked once when
// they are read from the wire.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/process.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "client/client.hpp"

namespace vfb::client {

// Absent means: not said, the daemon decides.
struct Attributes {
    std::optional<std::string> mac;
    std::optional<std::int64_t> vlan;  // 0: none
    std::optional<std::int64_t> qos;
    std::optional<std::string> vlan_protocol;  // `802.1Q`, `802.1ad`
    std::optional<bool> spoof_check;
    std::optional<bool> trust;
    std::optional<std::int64_t> min_tx_rate;  // Mbit/s
    std::optional<std::int64_t> max_tx_rate;  // Mbit/s
    std::optional<std::string> link_state;    // `auto`, `enable`, `disable`
    std::optional<bool> rss_query;
    std::optional<std::string> node_guid;
    std::optional<std::string> port_guid;
};

struct LeaseRequest {
    std::string pool;
    std::optional<std::int64_t> count;
    std::vector<std::string> functions;  // these, and not any `count`
    std::optional<std::string> guest;
    Attributes attributes;
    std::optional<std::string> backend;       // `iommufd`, `group`
    std::optional<std::string> owner;         // `connection`, `process`, `guest`
    std::optional<std::string> hand_off;      // `descriptors`, `node`, `netdev`, `none`
    std::optional<std::int64_t> memory_lock;  // bytes
    std::optional<std::int64_t> wait_seconds;
    std::optional<ProcessId> process;  // that will use it, if not this one
    std::optional<bool> as_tenant;     // the pool's limits hold for root as well

    // How many functions are asked for.
    [[nodiscard]] std::size_t size() const {
        return functions.empty() ? static_cast<std::size_t>(count.value_or(1)) : functions.size();
    }
};

// The call's parameters: only what was said is in them.
proto::Json to_json(const LeaseRequest& request);

struct LeasedFunction {
    std::string address;
    std::int64_t generation = 0;
    std::string node;     // empty when none was lent
    std::string netdev;   // the same
    UniqueFd descriptor;  // iommufd: the unbound cdev; group: the device. None with hand-off `node`
};

struct Lease {
    std::int64_t id = 0;
    std::string pool;
    std::string backend;
    std::vector<LeasedFunction> functions;  // never empty
    UniqueFd context;                       // iommufd: the context; group: the container
    std::vector<UniqueFd> groups;           // group backend
    bool has_descriptors = false;           // that they came with it

    // That of the first function: what Release wants to know.
    [[nodiscard]] std::int64_t generation() const { return functions.front().generation; }
};

// Code::protocol when the reply is none of Lease, or names descriptors that did not come with it.
Result<Lease> read_lease(Reply reply);

Result<Lease> lease(Client& client, const LeaseRequest& request);
// Makes it the process's that uses it, or that one: from now on it ends when that one ends.
Result<> transfer(Client& client, std::int64_t id,
                  const std::optional<ProcessId>& process = std::nullopt);
// Gives a lease of this connection to its guest: it stays until it is released.
Result<> keep(Client& client, std::int64_t id);
Result<> release(Client& client, std::int64_t id, std::optional<std::int64_t> generation);

}  // namespace vfb::client
