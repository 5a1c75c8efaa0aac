// SPDX-License-Identifier: GPL-2.0-or-later
//
// The broker's words as values: slots, leases, owners. Plain data, no I/O.
#pragma once

#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/process.hpp"
#include "base/result.hpp"
#include "base/sys_root.hpp"
#include "nic/devlink.hpp"
#include "nic/vf_attributes.hpp"
#include "pci/address.hpp"
#include "pci/binding.hpp"
#include "vfio/vfio.hpp"

namespace vfb::broker {

// The identity of a VF: the name of its PF in the configuration and its index. Addresses, group
// numbers and netdev names change; this does not.
struct SlotKey {
    std::string pf;
    std::uint16_t index = 0;
    auto operator<=>(const SlotKey&) const = default;
    [[nodiscard]] std::string str() const { return pf + "/" + std::to_string(index); }
};

// As io.vfbroker FunctionState.
enum class SlotState { unmanaged, absent, preparing, clean, leased, dirty, quarantined, stuck };
std::string_view to_string(SlotState state);

using LeaseId = std::int64_t;

// A VF in the broker's hands.
struct Slot {
    SlotKey key;
    std::string pool;
    SlotState state = SlotState::absent;
    std::optional<pci::Address> address;  // where it is now
    std::optional<std::uint32_t> group;   // its IOMMU group now
    std::optional<int> numa_node;
    std::uint64_t generation = 0;  // counts leases; never goes back within a boot
    std::optional<LeaseId> lease;
    std::optional<Error> problem;          // of absent, dirty, quarantined, stuck
    nic::VfAttributes attributes;          // proven by the last read-back
    std::vector<std::string> unsupported;  // attributes that the scrub found its driver not to have
    std::optional<pci::Binding> original;  // as it was found, before we bound it
    // A lease bound it to its kernel driver, and no scrub has taken it back since: whatever uses
    // it by that driver is what is left of that lease.
    bool lent_netdev = false;
};

enum class OwnerKind { connection, process, guest };
std::string_view to_string(OwnerKind kind);
std::optional<OwnerKind> owner_kind_from_string(std::string_view name);

struct Owner {
    OwnerKind kind = OwnerKind::connection;
    uid_t uid = 0;
    ProcessId process;  // who uses it; for OwnerKind::process also whose end ends the lease
    // OwnerKind::connection: which one, by the first lease that it was asked for; else 0.
    LeaseId connection = 0;
};

// What is not leased from for the time being, by its name in the configuration.
struct DrainTarget {
    enum class Kind { pf, pool };
    Kind kind = Kind::pf;
    std::string name;
    auto operator<=>(const DrainTarget&) const = default;
    [[nodiscard]] std::string str() const;  // `pf:uplink`, `pool:guests`
};

// descriptors: open files are passed; node: the group's node is lent to the owner's uid; netdev:
// the function's own kernel driver makes a network interface of it, which is the owner's; none: the
// owner has access to the nodes anyway, as libvirt has.
enum class HandOff { descriptors, node, netdev, none };
std::string_view to_string(HandOff hand_off);
std::optional<HandOff> hand_off_from_string(std::string_view name);

// A device node lent to a uid, and whose it was.
struct LentNode {
    std::string path;  // relative to /dev
    Dir::Owner original;
};

struct LeasedFunction {
    SlotKey slot;
    pci::Address address;
    std::uint64_t generation = 0;
    nic::VfAttributes attributes;
    bool lost = false;  // the function went away under the lease
};

struct Lease {
    LeaseId id = 0;
    std::string pool;
    std::string guest;  // name given by the caller; may be empty
    vfio::Backend backend = vfio::Backend::iommufd;
    Owner owner;
    HandOff hand_off = HandOff::descriptors;
    std::int64_t since = 0;  // seconds since the epoch
    bool settled = false;    // false: an intent, the owner has nothing yet
    std::vector<LeasedFunction> functions;
    std::vector<LentNode> nodes;
};

std::string describe(const Lease& lease);  // `lease 3 (guest web, pid 812)`

// Who calls.
struct Caller {
    uid_t uid = 0;
    std::vector<gid_t> gids;
    ProcessId process;
    bool administrator = false;  // of the group kAdministrators
    std::string command{};       // short name of the process as it connected; empty: not known
};

// The process that is to use what is leased, and the uid it runs as.
struct User {
    uid_t uid = 0;
    ProcessId process;
};

// What a caller asks for.
struct LeaseRequest {
    std::string pool;
    unsigned count = 1;
    std::vector<pci::Address> functions;  // these, as many as `count`; empty: any of the pool
    std::string guest;
    nic::VfAttributes attributes;
    std::optional<vfio::Backend> backend;
    OwnerKind owner = OwnerKind::connection;
    LeaseId connection = 0;  // as Owner::connection; 0: this is the first lease over it
    HandOff hand_off = HandOff::descriptors;
    std::optional<std::uint64_t> memory_lock;  // bytes
    std::optional<User> user;                  // absent: the caller itself
    bool as_tenant = false;  // the pool's limits of attributes hold for root as well
};

}  // namespace vfb::broker
