// SPDX-License-Identifier: GPL-2.0-or-later
#include "views.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/process.hpp"
#include "iommu/groups.hpp"
#include "verdict.hpp"
#include "wire.hpp"

namespace vfb::daemon {

using broker::Slot;
using broker::SlotState;

proto::Text Views::list_text(bool managed_only) {
    Kept& kept = managed_only ? managed_ : all_;
    if (kept.text && kept.world == world_.version() && kept.broker == broker_.version())
        return kept.text;
    kept = {};  // before the new one is made: there need not be two
    std::string text = R"({"parameters":{"functions":[)";
    bool first = true;
    for (const auto& [address, function] : world_.functions()) {
        if (managed_only && !function.is_pf() && broker_.find_at(address) == nullptr) continue;
        if (!first) text += ',';
        first = false;
        text += summary(function).dump(-1, ' ', false, Json::error_handler_t::replace);
    }
    text += "]}}";
    text.shrink_to_fit();
    kept = {.world = world_.version(),
            .broker = broker_.version(),
            .text = std::make_shared<const std::string>(std::move(text))};
    return kept.text;
}

Json Views::summary(const pci::Function& f) const {
    Json json{{"address", f.address.str()},
              {"ids", f.ids()},
              {"class", f.class_name.str()},
              {"name", f.device_name.empty() ? f.vendor_name.str()
                                             : f.vendor_name.str() + " " + f.device_name.str()}};
    if (f.driver) json["driver"] = *f.driver;
    json["netdevs"] = Json::array();
    for (const auto& netdev : f.netdevs) json["netdevs"].push_back(netdev.name);
    if (f.group) json["group"] = *f.group;
    if (f.numa_node) json["numaNode"] = *f.numa_node;
    if (f.sriov) {
        json["vfs"] = f.sriov->vfs.size();
        json["totalVfs"] = f.sriov->total;
    }
    if (f.physfn) json["physicalFunction"] = f.physfn->str();
    if (f.vf_index) json["index"] = *f.vf_index;
    const Slot* slot = broker_.find_at(f.address);
    if (slot != nullptr && !slot->pool.empty()) json["pool"] = slot->pool;
    json["state"] = to_string(slot != nullptr ? slot->state : SlotState::unmanaged);
    if (slot != nullptr && slot->lease) json["lease"] = *slot->lease;
    return json;
}

Json Views::states_of(const pci::SrIov& sriov) const {
    std::map<SlotState, unsigned> counts;
    for (const auto& vf : sriov.vfs) {
        const Slot* slot = broker_.find_at(vf);
        ++counts[slot != nullptr ? slot->state : SlotState::unmanaged];
    }
    Json json = Json::object();
    for (const auto& [state, count] : counts) json[std::string(to_string(state))] = count;
    return json;
}

Json Views::detail(const Json& explained, const pci::Function& f) const {
    Json json;
    json["summary"] = summary(f);
    json["revision"] = f.revision;
    json["subsystem"] = fmt::format("{:04x}:{:04x}", f.subsystem_vendor, f.subsystem_device);
    if (!f.slot.empty()) json["slot"] = f.slot.str();
    if (f.parent) json["parent"] = f.parent->str();
    json["bars"] = Json::array();
    for (const auto& bar : f.bars) json["bars"].push_back(to_json(bar));
    json["netdevs"] = Json::array();
    for (const auto& netdev : f.netdevs) json["netdevs"].push_back(to_json(netdev));
    json["resetMethods"] = f.reset_methods();
    if (f.sriov) {
        json["sriov"] = to_json(*f.sriov);
        json["sriov"]["states"] = states_of(*f.sriov);
    }
    json["isolation"] = explained.at("isolation");
    if (const Slot* slot = broker_.find_at(f.address); slot != nullptr) {
        json["generation"] = slot->generation;
        if (slot->problem) json["reason"] = slot->problem->message();
        json["attributes"] = to_json(slot->attributes);
        if (!slot->unsupported.empty()) json["unsupported"] = slot->unsupported;
        if (slot->original && slot->original->driver)
            json["originalDriver"] = *slot->original->driver;
    }
    json["uses"] = explained.at("uses");
    json["holders"] = explained.at("holders");
    json["problems"] = explained.at("problems");
    return json;
}

Json Views::explanation(const Json& explained, const pci::Function& f, const broker::Caller& caller,
                        const SysRoot& root) const {
    VerdictFacts facts{.function = f};
    facts.slot = broker_.find_at(f.address);
    if (facts.slot != nullptr) {
        facts.pool = broker_.config().find_pool(facts.slot->pool);
        facts.allowed = facts.pool != nullptr && broker::Broker::may_lease(*facts.pool, caller);
        if (const auto* target = broker_.drained_by(*facts.slot)) facts.drained = target->str();
        if (facts.slot->lease) facts.lease = broker_.find_lease(*facts.slot->lease);
    }
    if (facts.lease != nullptr) {
        facts.may_touch = broker::Broker::may_touch(*facts.lease, caller);
        facts.owner = process_name(root.proc(), facts.lease->owner.process.pid);
    }
    const auto& isolation = explained.at("isolation");
    // What could not be read is no reason of the IOMMU: a finding tells it.
    if (isolation.contains("reason") && isolation.at("viable") == false) {
        facts.refusal = isolation.at("reason").get<std::string>();
        facts.refusal_hint = isolation.at("hint").get<std::string>();
    }
    for (const auto& use : explained.at("uses"))
        facts.uses.push_back(use.at("text").get<std::string>());
    Json json{{"function", summary(f)}, {"verdict", to_json(judge(facts))}};
    for (const char* name : {"group", "groupType", "members", "bridges", "findings"})
        if (explained.contains(name)) json[name] = explained.at(name);
    return json;
}

Json Views::pool(const broker::PoolConfig& config, const broker::Caller& caller) const {
    std::map<SlotState, int> counts;
    int total = 0;
    int drained = 0;
    std::vector<std::string> problems;
    const auto note = [&](const std::string& text) {
        if (std::ranges::find(problems, text) == problems.end() && problems.size() < 10)
            problems.push_back(text);
    };
    for (const std::string& name : config.pfs) {
        const auto it = hardware_.pfs().find(name);
        if (it != hardware_.pfs().end() && it->second.problem) note(it->second.problem->message());
    }
    for (const auto& [key, slot] : broker_.slots()) {
        if (slot.pool != config.name) continue;
        ++total;
        ++counts[slot.state];
        if (broker_.drained_by(slot) != nullptr) ++drained;
        if (slot.problem && slot.state != SlotState::absent) note(slot.problem->message());
    }
    Json json{{"name", config.name}, {"total", total}};
    for (const auto state :
         {SlotState::clean, SlotState::leased, SlotState::preparing, SlotState::dirty,
          SlotState::quarantined, SlotState::stuck, SlotState::absent})
        json[std::string(to_string(state))] = counts[state];
    json["drained"] = drained;
    if (config.backend != broker::BackendChoice::automatic)
        json["backend"] = to_string(config.backend);
    json["allowed"] = broker::Broker::may_lease(config, caller);
    // JSON has no larger whole numbers in most of its readers.
    json["memoryLockMax"] = std::min<std::uint64_t>(broker_.memory_lock_max(config), INT64_MAX);
    json["problems"] = problems;
    return json;
}

Json Views::pools(const broker::Caller& caller) const {
    Json list = Json::array();
    for (const auto& config : broker_.config().pools) list.push_back(pool(config, caller));
    return {{"pools", std::move(list)}};
}

Json Views::leased_function(const broker::LeasedFunction& function) const {
    Json json{{"address", function.address.str()}};
    const auto pf = hardware_.pfs().find(function.slot.pf);
    const bool known = pf != hardware_.pfs().end() && pf->second.address;
    json["physicalFunction"] = known ? pf->second.address->str() : function.slot.pf;
    json["index"] = function.slot.index;
    if (const Slot* slot = broker_.find(function.slot); slot != nullptr && slot->group)
        json["group"] = *slot->group;
    json["generation"] = function.generation;
    json["lost"] = function.lost;
    json["attributes"] = to_json(function.attributes);
    return json;
}

Json Views::lease(const broker::Lease& l, const Granted* granted) const {
    Json json{{"id", l.id}, {"pool", l.pool}};
    if (!l.guest.empty()) json["guest"] = l.guest;
    json["backend"] = vfio::to_string(l.backend);
    json["owner"] = to_string(l.owner.kind);
    json["uid"] = l.owner.uid;
    json["pid"] = l.owner.process.pid;
    json["since"] = l.since;
    json["handOff"] = to_string(l.hand_off);
    json["functions"] = Json::array();
    for (std::size_t i = 0; i < l.functions.size(); ++i) {
        Json function = leased_function(l.functions[i]);
        if (granted != nullptr && granted->devices[i])
            function["descriptor"] = *granted->devices[i];
        if (granted != nullptr && !granted->nodes[i].empty()) function["node"] = granted->nodes[i];
        if (granted != nullptr && !granted->netdevs.empty())
            function["netdev"] = granted->netdevs[i];
        json["functions"].push_back(std::move(function));
    }
    if (granted != nullptr && granted->context) json["contextDescriptor"] = *granted->context;
    json["groupDescriptors"] = granted != nullptr ? Json(granted->groups) : Json::array();
    return json;
}

Json Views::leases(const broker::Caller& caller) const {
    Json list = Json::array();
    for (const auto& [id, entry] : broker_.leases())
        if (entry.settled && broker::Broker::may_touch(entry, caller))
            list.push_back(lease(entry, nullptr));
    return {{"leases", std::move(list)}};
}

Json Views::status(const SysRoot& root) const {
    const vfio::Support& support = hardware_.support();
    Json json{{"version", VFB_VERSION},
              {"configuration", to_json(config_state_)},
              {"backends", Json::array()},
              {"missing", Json::object()}};
    if (support.iommufd)
        json["backends"].push_back("iommufd");
    else
        json["missing"]["iommufd"] = support.iommufd_reason;
    if (support.group)
        json["backends"].push_back("group");
    else
        json["missing"]["group"] = support.group_reason;
    if (const auto platform = iommu::read_platform(root); platform && platform->interrupt_remapping)
        json["interruptRemapping"] = *platform->interrupt_remapping;
    json["physicalFunctions"] = Json::array();
    for (const auto& [name, pf] : hardware_.pfs()) {
        const broker::PfConfig* config = broker_.config().find_pf(name);
        const pci::Function* function = pf.address ? world_.find(*pf.address) : nullptr;
        Json entry{{"name", name}};
        if (pf.address) entry["address"] = pf.address->str();
        entry["wanted"] = config != nullptr ? config->vfs : 0;
        if (function != nullptr)
            entry["present"] = function->sriov ? function->sriov->vfs.size() : 0;
        // It works, and is not what the configuration says.
        const bool differs = pf.state == PfStatus::State::ready && pf.problem;
        entry["state"] = differs ? "differs" : to_string(pf.state);
        entry["drained"] =
            broker_.drained().contains({.kind = broker::DrainTarget::Kind::pf, .name = name});
        if (const auto resize = broker_.resizes().find(name); resize != broker_.resizes().end())
            entry["configured"] = resize->second.configured;
        if (pf.problem) {
            entry["problem"] = pf.problem->message();
            entry["hint"] = pf.problem->hint;
        }
        json["physicalFunctions"].push_back(std::move(entry));
    }
    json["functions"] = world_.functions().size();
    json["problems"] = world_.problems();
    return json;
}

doctor::DaemonFacts Views::daemon_facts() const {
    doctor::DaemonFacts facts;
    facts.pid = ::getpid();
    facts.version = VFB_VERSION;
    if (config_state_.fault) {
        const Error* error = &*config_state_.fault;
        for (; error != nullptr; error = error->cause.get())
            facts.config_faults.push_back(
                {.place = error->subject, .text = error->reason, .hint = error->hint});
        facts.config_in_force = in_words(config_state_.in_force);
    }
    for (const auto& [name, pf] : hardware_.pfs()) {
        const broker::PfConfig* config = broker_.config().find_pf(name);
        const pci::Function* function = pf.address ? world_.find(*pf.address) : nullptr;
        facts.pfs.push_back({.name = name,
                             .address = pf.address,
                             .state = std::string(to_string(pf.state)),
                             .wanted = config != nullptr ? config->vfs : 0,
                             .present = function != nullptr && function->sriov
                                            ? static_cast<unsigned>(function->sriov->vfs.size())
                                            : 0,
                             .problem = pf.problem ? pf.problem->message() : "",
                             .hint = pf.problem ? pf.problem->hint : ""});
    }
    constexpr std::size_t kMostTroubled = 64;
    for (const auto& [key, slot] : broker_.slots()) {
        ++facts.counts[std::string(to_string(slot.state))];
        const bool troubled = slot.state == SlotState::stuck ||
                              slot.state == SlotState::quarantined ||
                              slot.state == SlotState::dirty;
        if (!troubled || facts.troubled.size() == kMostTroubled) continue;
        facts.troubled.push_back({.subject = slot.address ? slot.address->str() : key.str(),
                                  .state = std::string(to_string(slot.state)),
                                  .problem = slot.problem ? slot.problem->message() : "",
                                  .hint = slot.problem ? slot.problem->hint : ""});
    }
    return facts;
}

}  // namespace vfb::daemon
