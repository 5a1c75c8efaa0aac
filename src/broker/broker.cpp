// SPDX-License-Identifier: GPL-2.0-or-later
#include "broker/broker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

namespace vfb::broker {
namespace {

std::unexpected<Error> function_lost(const Lease& lease, const LeasedFunction& function) {
    return fail(Code::lost, fmt::format("hand over lease {}", lease.id), function.address.str(),
                fmt::format("{} went away while it was being prepared", function.address),
                "lease again");
}

}  // namespace

Result<Broker> Broker::open(Store store, std::uint64_t machine_memory) {
    Broker broker(std::move(store), machine_memory);
    VFB_TRY(auto slots, broker.store_.slots());
    for (auto& stored : slots) broker.stored_.emplace(stored.key, std::move(stored));
    VFB_TRY(auto leases, broker.store_.leases());
    for (auto& lease : leases) broker.leases_.emplace(lease.id, std::move(lease));
    VFB_TRY(broker.last_lease_, broker.store_.last_lease_id());
    VFB_TRY(const auto drained, broker.store_.drained());
    broker.drained_.insert(drained.begin(), drained.end());
    VFB_TRY(auto resizes, broker.store_.resizes());
    for (auto& resize : resizes) broker.resizes_.emplace(resize.pf, std::move(resize));
    return broker;
}

void Broker::set_identity(std::string machine, std::function<std::string(const std::string&)> pf) {
    machine_ = std::move(machine);
    pf_identity_ = std::move(pf);
}

const Slot* Broker::find(const SlotKey& key) const {
    const auto it = slots_.find(key);
    return it == slots_.end() ? nullptr : &it->second;
}

Slot* Broker::slot(const SlotKey& key) {
    ++version_;
    const auto it = slots_.find(key);
    return it == slots_.end() ? nullptr : &it->second;
}

Broker::SlotRange Broker::slots_of(const std::string& pf) const {
    return {slots_.lower_bound({pf, 0}), slots_.upper_bound({pf, UINT16_MAX})};
}

const Slot* Broker::find_at(const pci::Address& address) const {
    const auto it = by_address_.find(address);
    return it == by_address_.end() ? nullptr : find(it->second);
}

const Lease* Broker::find_lease(LeaseId id) const {
    const auto it = leases_.find(id);
    return it == leases_.end() ? nullptr : &it->second;
}

const Lease* Broker::find_lease_of_another(const SlotKey& key, const pci::Address& address) const {
    for (const auto& [id, lease] : leases_)
        for (const LeasedFunction& function : lease.functions)
            if (!function.lost && function.address == address && function.slot != key)
                return &lease;
    return nullptr;
}

std::optional<pci::Address> Broker::function_of(const Slot& slot) const {
    const Lease* lease = slot.lease ? find_lease(*slot.lease) : nullptr;
    if (slot.address || lease == nullptr) return slot.address;
    const auto held = std::ranges::find(lease->functions, slot.key, &LeasedFunction::slot);
    return held == lease->functions.end() ? std::nullopt : std::optional(held->address);
}

bool Broker::belongs(const Slot& slot, const std::string& pf,
                     const std::optional<pci::Address>& at) const {
    if (slot.key.pf == pf) return true;
    const auto function = function_of(slot);
    return at && function && places_.physfn && places_.physfn(*function) == at;
}

bool Broker::belongs(const Slot& slot, const std::string& pf) const {
    const bool known = places_.pf && config_.find_pf(pf) != nullptr;
    return belongs(slot, pf, known ? places_.pf(pf) : std::nullopt);
}

void Broker::leave_address(const Slot& slot) {
    if (!slot.address) return;
    const auto it = by_address_.find(*slot.address);
    if (it != by_address_.end() && it->second == slot.key) by_address_.erase(it);
}

void Broker::configure(Config config) {
    configured_.clear();
    for (const PfConfig& pf : config.pfs) configured_.emplace(pf.name, pf.vfs);
    config_ = std::move(config);
    apply_resizes();
    make_slots();
}

void Broker::make_slots() {
    std::map<SlotKey, Slot> next;
    for (const PfConfig& pf : config_.pfs) {
        for (unsigned index = 0; index < pf.vfs; ++index) {
            const PoolConfig* pool = config_.pool_of(pf.name, index);
            if (pool == nullptr) continue;
            const SlotKey key{pf.name, static_cast<std::uint16_t>(index)};
            Slot slot;
            if (const auto old = slots_.find(key); old != slots_.end()) slot = old->second;
            slot.key = key;
            if (!slot.lease) slot.pool = pool->name;
            if (const auto stored = stored_.find(key); stored != stored_.end()) {
                slot.generation = std::max(slot.generation, stored->second.generation);
                slot.original = stored->second.original;
                slot.lent_netdev = stored->second.lent_netdev;
            }
            next.emplace(key, std::move(slot));
        }
    }
    // What nothing names any more stays until it is at rest: see retire().
    for (auto& [key, slot] : slots_) {
        if (next.contains(key)) continue;
        if (!slot.lease) slot.pool.clear();
        next.emplace(key, slot);
    }
    // Leases of an earlier daemon hold slots that nothing else may have created yet.
    for (const auto& [id, lease] : leases_) {
        for (const LeasedFunction& function : lease.functions) {
            if (function.lost) continue;
            Slot& slot = next[function.slot];
            slot.key = function.slot;
            slot.pool = lease.pool;
            slot.lease = id;
            slot.attributes = function.attributes;
            slot.generation = std::max(slot.generation, function.generation);
            if (!slot.address) slot.state = SlotState::leased;
            if (const auto stored = stored_.find(function.slot); stored != stored_.end()) {
                slot.original = stored->second.original;
                slot.lent_netdev = stored->second.lent_netdev;
            }
        }
    }
    ++version_;
    slots_ = std::move(next);
    by_address_.clear();
    for (const auto& [key, slot] : slots_)
        if (slot.address) by_address_.emplace(*slot.address, key);
}

std::vector<Slot> Broker::retire() {
    std::vector<Slot> retired;
    for (auto it = slots_.begin(); it != slots_.end();) {
        const Slot& slot = it->second;
        const bool at_rest = slot.state == SlotState::clean || slot.state == SlotState::absent ||
                             slot.state == SlotState::quarantined;
        if (slot.lease || !at_rest || config_.pool_of(it->first.pf, it->first.index) != nullptr) {
            ++it;
            continue;
        }
        leave_address(slot);
        retired.push_back(slot);
        it = slots_.erase(it);
        ++version_;
    }
    return retired;
}

Result<> Broker::forget_original(const SlotKey& key) {
    const auto stored = stored_.find(key);
    if (stored == stored_.end() || !stored->second.original) return {};
    StoredSlot without = stored->second;
    without.original.reset();
    without.lent_netdev = false;
    VFB_CHECK(store_.put_slot(without));
    stored->second = without;
    // One that is configured again meanwhile would take its own driver for the original later.
    if (Slot* s = slot(key)) s->original.reset();
    return {};
}

Result<> Broker::forget_pf(const std::string& name) {
    std::vector<SlotKey> keys;
    for (const auto& [key, stored] : stored_)
        if (key.pf == name) keys.push_back(key);
    for (const SlotKey& key : keys) VFB_CHECK(forget_original(key));
    return store_.remove_pf(name);
}

bool Broker::locate(const SlotKey& key, const pci::Address& address,
                    std::optional<std::uint32_t> group, std::optional<int> numa_node) {
    Slot* s = slot(key);
    if (s == nullptr) return false;
    const bool was_there = s->address == address;
    leave_address(*s);
    by_address_.insert_or_assign(address, key);
    s->address = address;
    s->group = group;
    s->numa_node = numa_node;
    if (s->lease) {
        s->state = SlotState::leased;
        return false;
    }
    if (was_there && s->state != SlotState::absent) return false;
    s->state = SlotState::preparing;
    s->problem.reset();
    return true;
}

Result<> Broker::lose(const SlotKey& key, Error why) {
    Slot* s = slot(key);
    if (s == nullptr) return {};
    const auto lease_id = s->lease;
    s->state = SlotState::absent;
    leave_address(*s);
    s->address.reset();
    s->group.reset();
    s->lease.reset();
    s->attributes = {};
    s->problem = std::move(why);
    if (!lease_id) return {};
    auto it = leases_.find(*lease_id);
    if (it == leases_.end()) return {};
    for (LeasedFunction& function : it->second.functions)
        if (function.slot == key) function.lost = true;
    return store_.settle_lease(it->second);
}

Result<> Broker::remember_original(const SlotKey& key, const pci::Binding& original) {
    Slot* s = slot(key);
    if (s == nullptr || s->original) return {};  // only the first sight is the original
    const StoredSlot stored{.key = key,
                            .generation = s->generation,
                            .original = original,
                            .lent_netdev = s->lent_netdev};
    VFB_CHECK(store_.put_slot(stored));
    stored_.insert_or_assign(key, stored);
    s->original = original;
    return {};
}

void Broker::mark_preparing(const SlotKey& key) {
    if (Slot* s = slot(key); s != nullptr && !s->lease) {
        s->state = SlotState::preparing;
        s->problem.reset();
    }
}

Result<> Broker::mark_clean(const SlotKey& key, const nic::VfAttributes& attributes,
                            std::vector<std::string> unsupported) {
    Slot* s = slot(key);
    if (s == nullptr || s->lease || !s->address) return {};
    if (s->lent_netdev) {
        StoredSlot taken_back = stored_[key];
        taken_back.lent_netdev = false;
        VFB_CHECK(store_.put_slot(taken_back));
        stored_[key] = taken_back;
        s->lent_netdev = false;
    }
    s->state = SlotState::clean;
    s->problem.reset();
    s->attributes = attributes;
    s->unsupported = std::move(unsupported);
    return {};
}

void Broker::mark_dirty(const SlotKey& key, Error why) {
    if (Slot* s = slot(key); s != nullptr && !s->lease) {
        s->state = SlotState::dirty;
        s->problem = std::move(why);
    }
}

void Broker::quarantine(const SlotKey& key, Error why) {
    if (Slot* s = slot(key); s != nullptr && !s->lease) {
        s->state = SlotState::quarantined;
        s->problem = std::move(why);
    }
}

void Broker::mark_stuck(const SlotKey& key, Error why) {
    if (Slot* s = slot(key); s != nullptr && !s->lease) {
        s->state = SlotState::stuck;
        s->problem = std::move(why);
    }
}

void Broker::note(const SlotKey& key, std::optional<Error> problem) {
    if (Slot* s = slot(key); s != nullptr && s->lease) s->problem = std::move(problem);
}

Result<LeaseId> Broker::begin(const Choice& choice, const Caller& caller, std::int64_t now) {
    Lease lease;
    lease.id = last_lease_ + 1;
    lease.pool = choice.request.pool;
    lease.guest = choice.request.guest;
    lease.backend = choice.backend;
    const User user = choice.request.user.value_or(User{caller.uid, caller.process});
    lease.owner = {
        .kind = choice.request.owner, .uid = user.uid, .process = user.process, .connection = 0};
    if (lease.owner.kind == OwnerKind::connection)
        lease.owner.connection =
            choice.request.connection != 0 ? choice.request.connection : lease.id;
    lease.hand_off = choice.request.hand_off;
    lease.since = now;
    std::size_t position = 0;
    for (const SlotKey& key : choice.slots) {
        const Slot* s = find(key);
        if (s == nullptr || s->state != SlotState::clean || s->lease)
            return fail(Code::busy, "lease " + key.str(), key.str(), "it is not free any more");
        lease.functions.push_back(
            {.slot = key,
             .address = *s->address,
             .generation = s->generation + 1,
             .attributes = nic::overlay(s->attributes, choice.to_write[position])});
        ++position;
    }
    VFB_CHECK(store_.put_lease(lease));
    last_lease_ = lease.id;
    for (const LeasedFunction& function : lease.functions) {
        Slot* s = slot(function.slot);
        s->generation = function.generation;
        StoredSlot& stored = stored_[function.slot];
        stored.key = function.slot;
        stored.generation = function.generation;
        stored.lent_netdev = s->lent_netdev = lease.hand_off == HandOff::netdev;
        s->lease = lease.id;
        s->state = SlotState::leased;
    }
    const LeaseId id = lease.id;
    leases_.emplace(id, std::move(lease));
    return id;
}

Result<> Broker::settle(LeaseId id, std::vector<LentNode> nodes,
                        const std::vector<nic::VfAttributes>& attributes) {
    const auto it = leases_.find(id);
    if (it == leases_.end())
        return fail(Code::lost, fmt::format("hand over lease {}", id), std::to_string(id),
                    "it ended while it was being prepared");
    // What the owner would get is nobody's, or the next owner's by now.
    for (const LeasedFunction& function : it->second.functions)
        if (function.lost) return function_lost(it->second, function);
    Lease settled = it->second;
    settled.settled = true;
    settled.nodes = std::move(nodes);
    for (std::size_t i = 0; i < settled.functions.size() && i < attributes.size(); ++i) {
        settled.functions[i].attributes = attributes[i];
        if (Slot* s = slot(settled.functions[i].slot)) s->attributes = attributes[i];
    }
    VFB_CHECK(store_.settle_lease(settled));
    it->second = std::move(settled);
    return {};
}

Result<> Broker::transfer(LeaseId id, const ProcessId& process) {
    const auto it = leases_.find(id);
    if (it == leases_.end())
        return fail(Code::not_found, fmt::format("transfer lease {}", id), std::to_string(id),
                    "there is no such lease", "vfbroker leases");
    Lease transferred = it->second;
    transferred.owner.kind = OwnerKind::process;
    transferred.owner.connection = 0;
    transferred.owner.process = process;
    VFB_CHECK(store_.put_owner(transferred));
    it->second = std::move(transferred);
    return {};
}

Result<> Broker::keep(LeaseId id) {
    const auto it = leases_.find(id);
    if (it == leases_.end())
        return fail(Code::lost, fmt::format("keep lease {}", id), std::to_string(id),
                    "it has ended meanwhile");
    Lease kept = it->second;
    kept.owner.kind = OwnerKind::guest;
    kept.owner.connection = 0;
    VFB_CHECK(store_.put_owner(kept));
    it->second = std::move(kept);
    return {};
}

Result<const Lease*> Broker::find_to_end(LeaseId id,
                                         std::optional<std::uint64_t> generation) const {
    const auto it = leases_.find(id);
    const std::string operation = fmt::format("release lease {}", id);
    if (it == leases_.end())
        return fail(Code::not_found, operation, std::to_string(id), "there is no such lease",
                    "vfbroker leases");
    if (generation && !it->second.functions.empty() &&
        it->second.functions.front().generation != *generation)
        return fail(Code::not_found, operation, std::to_string(id),
                    fmt::format("generation {} has ended; the lease is of generation {}",
                                *generation, it->second.functions.front().generation),
                    "vfbroker leases");
    return &it->second;
}

Result<Lease> Broker::end(LeaseId id, std::optional<std::uint64_t> generation) {
    VFB_CHECK(find_to_end(id, generation));
    VFB_CHECK(store_.remove_lease(id));
    Lease lease = std::move(leases_.extract(id).mapped());
    for (const LeasedFunction& function : lease.functions) {
        Slot* s = slot(function.slot);
        if (s == nullptr || s->lease != id) continue;
        s->lease.reset();
        s->state = s->address ? SlotState::preparing : SlotState::absent;
        const PoolConfig* pool = config_.pool_of(function.slot.pf, function.slot.index);
        s->pool = pool != nullptr ? pool->name : "";
    }
    return lease;
}

nic::VfAttributes Broker::default_attributes(const Config& config, const SlotKey& key) const {
    nic::VfAttributes attributes = nic::safe_defaults();
    if (const PoolConfig* pool = config.pool_of(key.pf, key.index))
        attributes = nic::overlay(attributes, pool->attributes);
    if (!pf_identity_) return attributes;
    const auto pf = pf_identity_(key.pf);
    attributes.mac = nic::stable_mac(machine_, pf, key.index);
    attributes.node_guid = nic::stable_guid(machine_, pf, key.index, "node");
    attributes.port_guid = nic::stable_guid(machine_, pf, key.index, "port");
    return attributes;
}

bool Broker::is_outdated(const Slot& slot) const {
    if (slot.state != SlotState::clean) return false;
    const auto expected = default_attributes(slot.key);
    return std::ranges::any_of(nic::differing(expected, slot.attributes),
                               [&](const std::string& name) {
                                   return nic::value_text(slot.attributes, name).has_value();
                               });
}

}  // namespace vfb::broker
