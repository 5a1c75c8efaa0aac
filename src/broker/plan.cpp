// SPDX-License-Identifier: GPL-2.0-or-later
#include "broker/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "broker/policy.hpp"

namespace vfb::broker {
namespace {

using Action = Change::Action;

// Also one of an earlier daemon, or by a name that the PF had before.
const Lease* find_lease_at(const Broker& broker, const pci::Address& address) {
    for (const auto& [id, lease] : broker.leases())
        for (const LeasedFunction& function : lease.functions)
            if (!function.lost && function.address == address) return &lease;
    return nullptr;
}

// The plan of one PF of the configuration.
class PfPlanner {
public:
    PfPlanner(const Config& wanted, const Broker& broker, const PfConfig& pf, const Seen& seen)
        : wanted_(wanted), broker_(broker), pf_(pf), seen_(seen) {
        plan_.name = pf.name;
        plan_.address = seen.address;
    }

    PfPlan make() {
        if (seen_.problem) {
            plan_.blocked.push_back(*seen_.problem);
            return std::move(plan_);
        }
        if (is_refused()) return std::move(plan_);
        look_at_settings();
        look_at_number();
        for (unsigned index = 0; index < pf_.vfs; ++index)
            if (const PoolConfig* pool = wanted_.pool_of(pf_.name, index))
                look_at_slot({pf_.name, static_cast<std::uint16_t>(index)}, *pool);
        look_at_leftovers();
        return std::move(plan_);
    }

private:
    void add(Action action, std::string property, std::string from, std::string to,
             std::string text) {
        plan_.changes.push_back({.action = action,
                                 .subject = pf_.name,
                                 .slot = {},
                                 .address = seen_.address,
                                 .property = std::move(property),
                                 .from = std::move(from),
                                 .to = std::move(to),
                                 .text = std::move(text)});
    }
    void add(Action action, const Slot& slot, std::string property, std::string from,
             std::string to, std::string text) {
        add(action, std::move(property), std::move(from), std::move(to), std::move(text));
        plan_.changes.back().subject = slot.key.str();
        plan_.changes.back().slot = slot.key;
        plan_.changes.back().address = address_of(slot.key.index);
    }
    void differ(const Slot& slot, const std::string& property, const std::string& from,
                const std::string& to) {
        add(Action::change, slot, property, from, to,
            fmt::format("{} {} -> {}", property, from.empty() ? "none" : from, to));
    }
    [[nodiscard]] std::optional<pci::Address> address_of(unsigned index) const {
        if (replaced_ || index >= seen_.survey.vfs.size()) return std::nullopt;
        return seen_.survey.vfs[index];
    }

    // What the machine cannot do is not begun with, and nothing else of that PF either.
    bool is_refused() {
        if (!seen_.address) return false;
        for (auto& [where, error] : refusals(wanted_, pf_, *seen_.address, seen_.survey.limits))
            plan_.blocked.push_back(std::move(error));
        plan_.refused = !plan_.blocked.empty();
        return plan_.refused;
    }

    void look_at_settings() {
        const auto mtu = seen_.survey.mtu;
        if (pf_.mtu && mtu && *pf_.mtu != *mtu)
            add(Action::change, "mtu", std::to_string(*mtu), std::to_string(*pf_.mtu),
                fmt::format("mtu {} -> {}", *mtu, *pf_.mtu));
        const auto mode = seen_.survey.eswitch_mode;
        if (pf_.eswitch_mode && mode && *pf_.eswitch_mode != *mode)
            add(Action::change, "eswitch_mode", std::string(nic::to_string(*mode)),
                std::string(nic::to_string(*pf_.eswitch_mode)),
                fmt::format("eswitch_mode {} -> {}", nic::to_string(*mode),
                            nic::to_string(*pf_.eswitch_mode)));
        if (pf_.link_up && seen_.survey.up == false)
            add(Action::change, "link_up", "false", "true", "set its link up");
    }

    void look_at_number() {
        const auto have = seen_.survey.vfs.size();
        if (have == pf_.vfs) return;
        if (have == 0)
            return add(Action::add, "vfs", "0", std::to_string(pf_.vfs),
                       fmt::format("create {} VFs", pf_.vfs));
        add(Action::change, "vfs", std::to_string(have), std::to_string(pf_.vfs),
            fmt::format("remove its {} VFs and create {}", have, pf_.vfs));
        for (const auto& address : seen_.survey.vfs) look_at_holder(address);
        plan_.resize = plan_.blocked.empty();
        replaced_ = plan_.resize;
    }

    // Whoever is in the way of the removal of a VF.
    void look_at_holder(const pci::Address& address) {
        const auto block = [&](const std::string& why, const char* hint) {
            plan_.blocked.push_back(fail(Code::busy,
                                         fmt::format("change the number of VFs of {} from {} to {}",
                                                     pf_.name, seen_.survey.vfs.size(), pf_.vfs),
                                         address.str(), why, hint)
                                        .error());
        };
        const Lease* lease = find_lease_at(broker_, address);
        if (lease != nullptr)
            return block(fmt::format("{} holds {}", describe(*lease), address),
                         "vfbroker drain PF --wait keeps new leases out and waits for it");
        const auto uses = seen_.survey.in_use.find(address);
        if (uses == seen_.survey.in_use.end()) return;
        for (const auto& use : uses->second)
            block(fmt::format("{} is in use: {}", address, use.text),
                  "vfbroker show lists what it is used for");
    }

    void look_at_slot(const SlotKey& key, const PoolConfig& pool) {
        const Slot* slot = broker_.find(key);
        if (!address_of(key.index) && !replaced_ && !seen_.survey.vfs.empty())
            return;  // no such VF
        if (slot == nullptr || slot->state == SlotState::absent || replaced_) {
            Slot fresh;
            fresh.key = key;
            return add(Action::add, fresh, "pool", "", pool.name, "into pool " + pool.name);
        }
        if (slot->lease) return look_at_leased(*slot, pool);
        if (slot->pool != pool.name)
            slot->pool.empty()
                ? add(Action::add, *slot, "pool", "", pool.name, "into pool " + pool.name)
                : differ(*slot, "pool", slot->pool, pool.name);
        switch (slot->state) {
            case SlotState::clean:
                return look_at_clean(*slot, pool);
            case SlotState::quarantined:
                return add(Action::change, *slot, "state", "quarantined", "clean",
                           fmt::format("scrub again: {}",
                                       slot->problem ? slot->problem->message() : "quarantined"));
            case SlotState::stuck:
                if (slot->problem) plan_.blocked.push_back(*slot->problem);
                return;
            default:
                return;  // on its way already
        }
    }

    void look_at_clean(const Slot& slot, const PoolConfig& pool) {
        const unsigned index = slot.key.index;
        if (index < seen_.survey.drivers.size()) {
            const auto& driver = seen_.survey.drivers[index];
            if (!pci::is_vfio_driver(driver) || (pool.driver && *pool.driver != *driver))
                differ(slot, "driver", driver.value_or(""), pool.driver.value_or("vfio-pci"));
        }
        if (index >= seen_.survey.attributes.size()) return;
        const auto& actual = seen_.survey.attributes[index];
        const auto expected = broker_.default_attributes(wanted_, slot.key);
        for (const auto& name : nic::differing(expected, actual))
            if (const auto now = nic::value_text(actual, name))
                differ(slot, name, *now, nic::value_text(expected, name).value_or(""));
    }

    // Nothing is done under a lease.
    void look_at_leased(const Slot& slot, const PoolConfig& pool) {
        const Lease* lease = broker_.find_lease(*slot.lease);
        if (lease == nullptr) return;
        if (slot.pool != pool.name)
            plan_.later.push_back(fmt::format("{}: pool {} -> {} when {} ends", slot.key.str(),
                                              slot.pool, pool.name, describe(*lease)));
        const unsigned index = slot.key.index;
        if (index >= seen_.survey.attributes.size()) return;
        const auto& actual = seen_.survey.attributes[index];
        for (const auto& name : nic::differing(slot.attributes, actual))
            if (const auto now = nic::value_text(actual, name))
                plan_.later.push_back(fmt::format(
                    "{}: another program changed {} to {}, {} has asked for {}; it is scrubbed "
                    "when that ends",
                    slot.key.str(), name, *now, describe(*lease),
                    nic::value_text(slot.attributes, name).value_or("another")));
    }

    // Slots of the PF that no pool has any more.
    void look_at_leftovers() {
        for (const auto& [key, slot] : broker_.slots_of(pf_.name)) {
            if (wanted_.pool_of(pf_.name, slot.key.index) != nullptr || !slot.address || replaced_)
                continue;
            const Lease* lease = slot.lease ? broker_.find_lease(*slot.lease) : nullptr;
            if (lease != nullptr)
                plan_.later.push_back(fmt::format("{}: is given back to the host when {} ends",
                                                  slot.key.str(), describe(*lease)));
            else
                add(Action::remove, slot, "pool", slot.pool, "", "is given back to the host");
        }
    }

    const Config& wanted_;
    const Broker& broker_;
    const PfConfig& pf_;
    const Seen& seen_;
    PfPlan plan_;
    bool replaced_ = false;  // all VFs are others afterwards
};

// A PF that was touched and is configured no more.
PfPlan give_back(const Broker& broker, const StoredPf& pf) {
    PfPlan plan;
    plan.name = pf.name;
    plan.address = pf.address;
    std::set<LeaseId> leases;
    unsigned slots = 0;
    for (const auto& [key, slot] : broker.slots()) {
        if (key.pf == pf.name) ++slots;
        if (slot.lease && broker.belongs(slot, pf.name, pf.address)) leases.insert(*slot.lease);
    }
    const std::string text =
        pf.created_vfs ? fmt::format("is given back to the host, without its {} VFs", slots)
                       : fmt::format(
                             "is given back to the host, with the drivers of its "
                             "{} VFs restored",
                             slots);
    for (const LeaseId id : leases)
        plan.later.push_back(
            fmt::format("{}: {} when {} ends", pf.name, text, describe(*broker.find_lease(id))));
    if (leases.empty())
        plan.changes.push_back({.action = Action::remove,
                                .subject = pf.name,
                                .slot = {},
                                .address = pf.address,
                                .property = "pf",
                                .from = pf.name,
                                .to = {},
                                .text = text});
    return plan;
}

bool has_something(const PfPlan& plan) {
    return !plan.changes.empty() || !plan.blocked.empty() || !plan.later.empty();
}

}  // namespace

std::size_t Plan::count(Change::Action action) const {
    auto count = static_cast<std::size_t>(std::ranges::count(pools, action, &Change::action));
    for (const PfPlan& pf : pfs)
        count += static_cast<std::size_t>(std::ranges::count(pf.changes, action, &Change::action));
    return count;
}

const Error* Plan::blocked() const {
    for (const PfPlan& pf : pfs)
        if (!pf.blocked.empty()) return &pf.blocked.front();
    return nullptr;
}

void set_aside(std::map<std::string, Seen>& seen, const Despite& despite) {
    for (auto& [name, pf] : seen)
        for (const auto& of_function : despite) {
            const auto uses = pf.survey.in_use.find(of_function.first);
            if (uses == pf.survey.in_use.end()) continue;
            // Not a structured binding: clang's analyser takes one for unset in a lambda.
            std::erase_if(uses->second, [&reasons = of_function.second](const Use& use) {
                return use.kind != "vfio" && reasons.contains(use.kind);
            });
        }
}

Plan make_plan(const Config& wanted, const Broker& broker, const std::map<std::string, Seen>& seen,
               const std::vector<StoredPf>& remembered) {
    Plan plan;
    plan.pools = policy_changes(broker.config(), wanted);
    std::set<pci::Address> kept;
    for (const PfConfig& pf : wanted.pfs) {
        const auto found = seen.find(pf.name);
        if (found == seen.end()) continue;
        if (found->second.address) kept.insert(*found->second.address);
        PfPlan made = PfPlanner(wanted, broker, pf, found->second).make();
        if (has_something(made)) plan.pfs.push_back(std::move(made));
    }
    for (const StoredPf& pf : remembered)
        if (wanted.find_pf(pf.name) == nullptr && !kept.contains(pf.address))
            plan.pfs.push_back(give_back(broker, pf));
    return plan;
}

}  // namespace vfb::broker
