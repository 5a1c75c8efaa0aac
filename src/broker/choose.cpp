// SPDX-License-Identifier: GPL-2.0-or-later
//
// Who may have what: the pure half of a lease.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "broker/broker.hpp"

namespace vfb::broker {
namespace {

std::string operation_of(const LeaseRequest& request) {
    if (!request.functions.empty())
        return fmt::format("lease {} from pool {}", fmt::join(request.functions, ", "),
                           request.pool);
    return request.count == 1
               ? fmt::format("lease from pool {}", request.pool)
               : fmt::format("lease {} functions from pool {}", request.count, request.pool);
}

// Functions that the IOMMU cannot tell apart go together or not at all.
using Unit = std::vector<const Slot*>;

std::vector<Unit> units_of(const std::map<SlotKey, Slot>& slots, const std::string& pool) {
    std::map<std::uint32_t, Unit> by_group;
    std::vector<Unit> units;
    for (const auto& [key, slot] : slots) {
        if (slot.group)
            by_group[*slot.group].push_back(&slot);
        else if (slot.pool == pool)
            units.push_back({&slot});
    }
    for (auto& [group, unit] : by_group)
        if (std::ranges::any_of(unit, [&](const Slot* s) { return s->pool == pool; }))
            units.push_back(std::move(unit));
    return units;
}

bool is_free(const Broker& broker, const Unit& unit, const std::string& pool) {
    return std::ranges::all_of(unit, [&](const Slot* s) {
        return s->state == SlotState::clean && s->pool == pool && broker.drained_by(*s) == nullptr;
    });
}

// Free units of one NUMA node first when that node alone can serve the request.
std::vector<Unit> prefer_one_node(std::vector<Unit> units, unsigned count) {
    std::map<int, unsigned> free_on;
    for (const Unit& unit : units)
        if (unit.front()->numa_node)
            free_on[*unit.front()->numa_node] += static_cast<unsigned>(unit.size());
    const auto node =
        std::ranges::find_if(free_on, [&](const auto& entry) { return entry.second >= count; });
    std::ranges::stable_sort(units, [&](const Unit& a, const Unit& b) {
        const auto rank = [&](const Unit& unit) {
            const bool here = node != free_on.end() && unit.front()->numa_node == node->first;
            return std::pair(!here, unit.front()->key);
        };
        return rank(a) < rank(b);
    });
    return units;
}

std::string list_of(const std::vector<PoolConfig>& pools) {
    if (pools.empty()) return "no pool is configured: see vfbroker.toml(5)";
    std::vector<std::string> names;
    for (const PoolConfig& pool : pools) names.push_back(pool.name);
    return fmt::format("pools: {}", fmt::join(names, ", "));
}

std::unexpected<Error> nothing_free(const Broker& broker, const LeaseRequest& request) {
    std::map<SlotState, unsigned> counts;
    unsigned total = 0;
    const Slot* unusable = nullptr;
    const DrainTarget* drained = nullptr;
    for (const auto& [key, slot] : broker.slots()) {
        if (slot.pool != request.pool) continue;
        ++total;
        if (drained == nullptr) drained = broker.drained_by(slot);
        ++counts[slot.state];
        if (slot.problem && slot.state != SlotState::dirty && unusable == nullptr) unusable = &slot;
    }
    if (request.count > total)
        return fail(Code::exhausted, operation_of(request), request.pool,
                    fmt::format("the pool has {} in all", total),
                    "vfbroker pool, or ask for fewer");
    std::vector<std::string> states;
    for (const auto& [state, count] : counts)
        states.push_back(fmt::format("{} {}", count, to_string(state)));
    if (drained != nullptr)
        return fail(
            Code::busy, operation_of(request), request.pool,
            fmt::format("of {} functions {}, and {} is drained: nothing of it is leased", total,
                        fmt::join(states, ", "), drained->str()),
            fmt::format("an administrator ends that with: vfbroker resume {}", drained->str()));
    // Nothing will become free by waiting: say why the functions are unusable.
    if (unusable != nullptr && counts[SlotState::leased] + counts[SlotState::clean] +
                                       counts[SlotState::preparing] + counts[SlotState::dirty] <
                                   request.count) {
        Error error = fail(unusable->problem->code, operation_of(request), request.pool,
                           fmt::format("of {} functions {}", total, fmt::join(states, ", ")))
                          .error()
                          .because(*unusable->problem);
        return std::unexpected(std::move(error));
    }
    return fail(Code::busy, operation_of(request), request.pool,
                fmt::format("of {} functions {}", total, fmt::join(states, ", ")),
                "wait for one with --wait SECONDS, or see who has them: vfbroker leases");
}

}  // namespace

bool Broker::may_touch(const Lease& lease, const Caller& caller) {
    return caller.uid == 0 || caller.administrator || caller.uid == lease.owner.uid;
}

bool Broker::may_lease(const PoolConfig& pool, const Caller& caller) {
    if (caller.uid == 0) return true;
    if (std::ranges::binary_search(pool.allow_users, caller.uid)) return true;
    return std::ranges::any_of(
        caller.gids, [&](gid_t gid) { return std::ranges::binary_search(pool.allow_groups, gid); });
}

std::uint64_t Broker::memory_lock_max(const PoolConfig& pool) const {
    return pool.memlock_max.value_or(memory_);
}

unsigned Broker::functions_of(uid_t uid, const std::string& pool) const {
    unsigned count = 0;
    for (const auto& [id, lease] : leases_)
        if (lease.owner.uid == uid && lease.pool == pool)
            count += static_cast<unsigned>(lease.functions.size());
    return count;
}

namespace {

// Which attributes a user of the pool may set, and to what.
Result<> check_attributes(const LeaseRequest& request, const PoolConfig& pool) {
    const std::string operation = operation_of(request);
    for (const std::string& attribute : nic::names_of(request.attributes)) {
        if (!pool.tenant_may(attribute))
            return fail(Code::denied, operation, pool.name,
                        fmt::format("the pool does not let its users set {}", attribute),
                        fmt::format("an administrator can add it to tenant_may_set at {}",
                                    pool.location.str()));
        const auto* const limit = pool.tenant_limit(attribute);
        if (limit == nullptr || limit->allows(*nic::value_number(request.attributes, attribute)))
            continue;
        return fail(
            Code::denied, operation, pool.name,
            fmt::format("{} is not among what the pool lets its users set {} to: {}",
                        *nic::value_text(request.attributes, attribute), attribute, limit->str()),
            fmt::format("ask for one of these, or have tenant_limits changed at {}",
                        pool.location.str()));
    }
    return {};
}

Result<> check_policy(const LeaseRequest& request, const Caller& caller, const PoolConfig& pool,
                      unsigned already) {
    const std::string operation = operation_of(request);
    if (!Broker::may_lease(pool, caller))
        return fail(Code::denied, operation, pool.name,
                    fmt::format("user {} is not among its allow_users or allow_groups", caller.uid),
                    fmt::format("an administrator can add the user at {}", pool.location.str()));
    if (request.count == 0)
        return fail(Code::invalid, operation, pool.name, "a lease has at least one function");
    if (request.count > 1 && request.attributes.mac)
        return fail(Code::invalid, operation, pool.name,
                    "one MAC address cannot be given to several functions",
                    "lease them one by one, or without a MAC address");
    if (request.count > 1 && (request.attributes.node_guid || request.attributes.port_guid))
        return fail(Code::invalid, operation, pool.name,
                    "one GUID cannot be given to several functions",
                    "lease them one by one, or without a GUID");
    const unsigned quota = pool.max_functions_per_user;
    if (caller.uid != 0 && quota != 0 && already + request.count > quota)
        return fail(Code::denied, operation, pool.name,
                    fmt::format("user {} has {} of the {} functions that the pool allows a user",
                                caller.uid, already, quota),
                    "release one: vfbroker leases");
    if (caller.uid == 0 && !request.as_tenant) return {};
    return check_attributes(request, pool);
}

Result<std::uint64_t> bounded_memory_lock(const LeaseRequest& request, const Caller& caller,
                                          std::uint64_t bound) {
    const std::uint64_t wanted = request.memory_lock.value_or(bound);
    if (wanted > bound && caller.uid != 0)
        return fail(Code::denied, operation_of(request), request.pool,
                    fmt::format("{} bytes of locked memory are more than the pool's bound of {}",
                                wanted, bound),
                    "ask for less with --memlock, or have memlock_max raised in the pool");
    return wanted;
}

Result<vfio::Backend> pick_backend(const LeaseRequest& request, const PoolConfig& pool,
                                   const vfio::Support& support) {
    std::optional<vfio::Backend> wanted = request.backend;
    if (!wanted && pool.backend == BackendChoice::iommufd) wanted = vfio::Backend::iommufd;
    if (!wanted && pool.backend == BackendChoice::group) wanted = vfio::Backend::group;
    // A program that opens nodes itself opens the group's: /dev/iommu is nobody's to lend.
    if (!wanted && request.hand_off == HandOff::node) wanted = vfio::Backend::group;
    if (!wanted) return support.preferred();
    if (request.hand_off == HandOff::node && *wanted == vfio::Backend::iommufd)
        return fail(Code::invalid, operation_of(request), request.pool,
                    "the iommufd backend hands over descriptors, not nodes",
                    "start the program under vfbroker run, or ask for --backend group");
    const bool there = *wanted == vfio::Backend::iommufd ? support.iommufd : support.group;
    if (there) return *wanted;
    return fail(Code::unsupported, operation_of(request), request.pool,
                fmt::format("this kernel has no {} backend: {}", vfio::to_string(*wanted),
                            *wanted == vfio::Backend::iommufd ? support.iommufd_reason
                                                              : support.group_reason),
                "vfbroker status");
}

}  // namespace

// A MAC address is one function's: that of a lease, its own, or one that it is still being cleaned
// of. nullptr: none here has it, what else the host has is asked when it is written.
Result<const Slot*> Broker::slot_with_mac(const LeaseRequest& request,
                                          const PoolConfig& pool) const {
    const auto taken = [&](const std::string& who) {
        return fail(Code::busy, operation_of(request), pool.name,
                    fmt::format("MAC address {} belongs to {}", request.attributes.mac->str(), who),
                    "choose another, or leave it out");
    };
    for (const auto& [id, lease] : leases_)
        for (const LeasedFunction& function : lease.functions)
            if (!function.lost && function.attributes.mac == request.attributes.mac)
                return taken(fmt::format("{} of lease {}", function.address, id));
    for (const auto& [key, slot] : slots_) {
        if (slot.attributes.mac != request.attributes.mac || slot.lease) continue;
        if (slot.state == SlotState::clean && slot.pool == pool.name) return &slot;
        return taken(fmt::format("{} ({}, {})", slot.address ? slot.address->str() : key.str(),
                                 slot.pool.empty() ? "in no pool" : "pool " + slot.pool,
                                 to_string(slot.state)));
    }
    return nullptr;
}

namespace {

std::unexpected<Error> refuse_leased(const LeaseRequest& request, const Slot& slot,
                                     const Lease& lease, const Caller& caller) {
    const std::string address = slot.address->str();
    std::string reason =
        fmt::format("{} is leased: lease {} of user {}", address, lease.id, lease.owner.uid);
    std::string hint = fmt::format("take another function of pool {} (vfbroker list)", slot.pool);
    if (Broker::may_touch(lease, caller)) {
        if (!lease.guest.empty()) reason += fmt::format(" for {}", lease.guest);
        reason += fmt::format(" (process {})", lease.owner.process.pid);
        hint += fmt::format(", or end that lease: vfbroker release {}", lease.id);
    }
    return fail(Code::busy, operation_of(request), address, std::move(reason), std::move(hint));
}

}  // namespace

Result<> Broker::refuse_taken(const LeaseRequest& request, const Slot& slot,
                              const Caller& caller) const {
    const std::string operation = operation_of(request);
    const std::string address = slot.address->str();
    if (const DrainTarget* target = drained_by(slot); target != nullptr)
        return fail(
            Code::busy, operation, address,
            fmt::format("{} is drained: nothing of it is leased", target->str()),
            fmt::format("an administrator ends that with: vfbroker resume {}", target->str()));
    if (slot.lease) return refuse_leased(request, slot, leases_.at(*slot.lease), caller);
    if (slot.state == SlotState::clean) return {};
    const bool passing = slot.state == SlotState::preparing || slot.state == SlotState::dirty;
    auto refusal = fail(passing || !slot.problem ? Code::busy : slot.problem->code, operation,
                        address, fmt::format("{} is {}", address, to_string(slot.state)));
    if (slot.problem) return std::unexpected(std::move(refusal).error().because(*slot.problem));
    refusal.error().hint = fmt::format("vfbroker show {}", address);
    return refusal;
}

Result<std::vector<const Slot*>> Broker::named_slots(const LeaseRequest& request,
                                                     const Caller& caller) const {
    std::vector<const Slot*> named;
    for (const pci::Address& address : request.functions) {
        const Slot* slot = find_at(address);
        if (slot == nullptr || slot->pool != request.pool)
            return fail(Code::not_found, operation_of(request), address.str(),
                        slot == nullptr ? fmt::format("{} is in no pool", address)
                                        : fmt::format("{} is in pool {}", address, slot->pool),
                        "vfbroker list");
        if (std::ranges::find(named, slot) != named.end())
            return fail(Code::invalid, operation_of(request), address.str(),
                        fmt::format("{} is named twice", address));
        VFB_CHECK(refuse_taken(request, *slot, caller));
        named.push_back(slot);
    }
    for (const auto& [key, slot] : slots_) {
        const auto shares = [&](const Slot* other) { return other->group == slot.group; };
        if (!slot.group || std::ranges::find(named, &slot) != named.end()) continue;
        if (const auto it = std::ranges::find_if(named, shares); it != named.end())
            return fail(Code::not_viable, operation_of(request), (*it)->address->str(),
                        fmt::format("the IOMMU cannot tell {} from {} in group {}, so they are "
                                    "leased together or not at all",
                                    *(*it)->address, *slot.address, *slot.group),
                        fmt::format("name {} as well: vfbroker explain {}", *slot.address,
                                    *(*it)->address));
    }
    return named;
}

namespace {

// Descriptors of a lease travel in one message, and the kernel lets it have so many (SCM_MAX_FD).
constexpr std::size_t kMostDescriptors = 253;

// A context or container, one of each function, and by the group backend one of each group.
Result<> check_descriptors(const Broker& broker, const LeaseRequest& request,
                           const Choice& choice) {
    if (request.hand_off != HandOff::descriptors) return {};
    std::size_t needed = 1 + choice.slots.size();
    const bool by_group = choice.backend == vfio::Backend::group;
    if (by_group) {
        std::set<std::uint32_t> groups;
        for (const SlotKey& key : choice.slots)
            if (const Slot* slot = broker.find(key); slot->group) groups.insert(*slot->group);
        needed += groups.size();
    }
    if (needed <= kMostDescriptors) return {};
    return fail(
        Code::invalid, operation_of(request), request.pool,
        fmt::format("by the {} backend that is {} descriptors, and {} fit into one reply",
                    vfio::to_string(choice.backend), needed, kMostDescriptors),
        by_group ? "lease them in parts, or with the hand-off `node`" : "lease them in parts");
}

void take(Choice& choice, const Slot& slot, const LeaseRequest& request) {
    choice.slots.push_back(slot.key);
    const bool as_it_is = nic::overlay(slot.attributes, request.attributes) == slot.attributes;
    choice.to_write.push_back(as_it_is ? nic::VfAttributes{} : request.attributes);
}

}  // namespace

// VFIO may be there only when the first function is bound to it.
bool Broker::is_coming(const std::string& pool) const {
    return std::ranges::any_of(slots_, [&](const auto& entry) {
        const Slot& slot = entry.second;
        return slot.pool == pool && (slot.state == SlotState::preparing ||
                                     (slot.state == SlotState::absent && !slot.problem));
    });
}

Result<Choice> Broker::choose(const LeaseRequest& request, const Caller& caller,
                              const vfio::Support& support) const {
    const PoolConfig* pool = config_.find_pool(request.pool);
    if (pool == nullptr)
        return fail(Code::not_found, operation_of(request), request.pool, "there is no such pool",
                    list_of(config_.pools));
    VFB_CHECK(check_policy(request, caller, *pool, functions_of(caller.uid, pool->name)));
    const Slot* wanted_slot = nullptr;
    if (request.attributes.mac) {
        VFB_TRY(wanted_slot, slot_with_mac(request, *pool));
    }
    Choice choice;
    choice.request = request;
    VFB_TRY(choice.memory_lock, bounded_memory_lock(request, caller, memory_lock_max(*pool)));
    const auto backend = pick_backend(request, *pool, support);
    if (!backend) {
        const bool too_early = backend.error().code == Code::unsupported && is_coming(pool->name);
        if (too_early) return nothing_free(*this, request);
        return std::unexpected(backend.error());
    }
    choice.backend = *backend;

    if (!request.functions.empty()) {
        VFB_TRY(const auto named, named_slots(request, caller));
        for (const Slot* slot : named) take(choice, *slot, request);
        if (wanted_slot != nullptr && wanted_slot != named.front())
            return fail(Code::busy, operation_of(request), pool->name,
                        fmt::format("MAC address {} belongs to {}", request.attributes.mac->str(),
                                    wanted_slot->address->str()),
                        "choose another, or leave it out");
        VFB_CHECK(check_descriptors(*this, request, choice));
        return choice;
    }
    std::vector<Unit> free_units;
    std::size_t too_large = 0;
    for (Unit& unit : units_of(slots_, pool->name)) {
        if (!is_free(*this, unit, pool->name)) continue;
        // Who wants the address that a function has gets that function.
        if (wanted_slot != nullptr && std::ranges::find(unit, wanted_slot) == unit.end()) continue;
        if (unit.size() > request.count)
            too_large = unit.size();
        else
            free_units.push_back(std::move(unit));
    }
    for (const Unit& unit : prefer_one_node(std::move(free_units), request.count)) {
        if (choice.slots.size() + unit.size() > request.count) continue;
        for (const Slot* slot : unit) take(choice, *slot, request);
    }
    if (choice.slots.size() == request.count) {
        VFB_CHECK(check_descriptors(*this, request, choice));
        return choice;
    }
    if (too_large != 0)
        return fail(Code::not_viable, operation_of(request), pool->name,
                    fmt::format("the IOMMU cannot tell {} of its functions apart, so they are "
                                "leased together or not at all",
                                too_large),
                    fmt::format("ask for --count {}", too_large));
    return nothing_free(*this, request);
}

}  // namespace vfb::broker
