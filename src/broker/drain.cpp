// SPDX-License-Identifier: GPL-2.0-or-later
//
// Draining: what is not leased from for the time being.
#include <fmt/format.h>

#include <algorithm>

#include "broker/broker.hpp"

namespace vfb::broker {
namespace {

constexpr std::string_view kPf = "pf:";
constexpr std::string_view kPool = "pool:";

}  // namespace

Result<DrainTarget> Broker::find_target(const std::string& text) const {
    const std::string_view view = text;
    const bool only_pf = view.starts_with(kPf);
    const bool only_pool = view.starts_with(kPool);
    const std::string name(view.substr(only_pf ? kPf.size() : only_pool ? kPool.size() : 0));
    const bool pf = !only_pool && config_.find_pf(name) != nullptr;
    const bool pool = !only_pf && config_.find_pool(name) != nullptr;
    if (pf && pool)
        return fail(Code::invalid, "find " + text, text, "both a PF and a pool have that name",
                    fmt::format("say pf:{} or pool:{}", name, name));
    if (!pf && !pool)
        return fail(Code::not_found, "find " + text, text,
                    "no PF and no pool of the configuration has that name",
                    "vfbroker status lists the PFs, vfbroker pool the pools");
    return DrainTarget{.kind = pf ? DrainTarget::Kind::pf : DrainTarget::Kind::pool, .name = name};
}

Result<> Broker::drain(const DrainTarget& target) {
    VFB_CHECK(store_.put_drained(target));
    drained_.insert(target);
    ++version_;
    return {};
}

Result<> Broker::resume(const DrainTarget& target) {
    VFB_CHECK(store_.remove_drained(target));
    drained_.erase(target);
    ++version_;
    return {};
}

bool Broker::concerns(const DrainTarget& target, const Slot& slot) const {
    return target.kind == DrainTarget::Kind::pf ? belongs(slot, target.name)
                                                : slot.pool == target.name;
}

const DrainTarget* Broker::drained_by(const Slot& slot) const {
    const auto it = std::ranges::find_if(
        drained_, [&](const DrainTarget& target) { return concerns(target, slot); });
    return it == drained_.end() ? nullptr : &*it;
}

std::vector<const Lease*> Broker::leases_of(const DrainTarget& target) const {
    std::vector<const Lease*> found;
    for (const auto& entry : leases_) {
        const Lease& lease = entry.second;
        if (std::ranges::any_of(lease.functions, [&](const LeasedFunction& function) {
                const Slot* slot = find(function.slot);
                return slot != nullptr && slot->lease == lease.id && concerns(target, *slot);
            }))
            found.push_back(&lease);
    }
    return found;
}

}  // namespace vfb::broker
