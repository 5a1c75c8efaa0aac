// SPDX-License-Identifier: GPL-2.0-or-later
#include "hardware.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "log.hpp"
#include "pf_match.hpp"
#include "wire.hpp"

namespace vfb::daemon {
namespace {

using namespace std::chrono_literals;
using broker::Slot;
using broker::SlotKey;
using broker::SlotState;

constexpr auto kPrepareTimeout = 60s;

Error removed(const SlotKey& key) {
    return fail(Code::lost, fmt::format("use VF {} of {}", key.index, key.pf), key.str(),
                "it was removed from the machine", "it is prepared again when it comes back")
        .error();
}

// What a worker's `read-pf` found, as it is remembered.
broker::StoredPf found_pf(const proto::Json& json) {
    broker::StoredPf found;
    found.autoprobe = json.at("autoprobe").get<bool>();
    if (const auto up = json.find("up"); up != json.end()) found.was_up = up->get<bool>();
    const auto settings = pf_settings_from_json(json.at("settings"));
    found.mtu = settings.mtu;
    found.eswitch_mode = settings.eswitch_mode;
    return found;
}

// Whether nothing that was done to a PF without VFs is left: what was found of it, and what is now.
bool is_as_found(const broker::StoredPf& found, const broker::StoredPf& now) {
    const auto same = [](const auto& was, const auto& is) { return !was || was == is; };
    return !found.found_vfs && found.autoprobe == now.autoprobe && same(found.was_up, now.was_up) &&
           same(found.mtu, now.mtu) && same(found.eswitch_mode, now.eswitch_mode);
}

}  // namespace

std::string_view to_string(PfStatus::State state) {
    switch (state) {
        case PfStatus::State::missing:
            return "missing";
        case PfStatus::State::applying:
            return "applying";
        case PfStatus::State::ready:
            return "ready";
        case PfStatus::State::failed:
            return "failed";
        case PfStatus::State::stuck:
            return "stuck";
    }
    return "failed";
}

void Hardware::withdraw(const std::string& pf, const Error& why) {
    hold(pf);
    pfs_[pf].state = PfStatus::State::applying;
    std::vector<SlotKey> keys;
    for (const auto& entry : broker_.slots_of(pf)) keys.push_back(entry.first);
    for (const auto& key : keys) lose_slot(key, why);
}

void Hardware::resync() {
    std::vector<std::string> ready;
    for (const auto& [name, status] : pfs_)
        if (status.state == PfStatus::State::ready) ready.push_back(name);
    for (const auto& name : ready) sync(name);
}

bool Hardware::is_configured(const pci::Address& pf) const {
    return std::ranges::any_of(pfs_, [&](const auto& entry) {
        return entry.second.address == pf && broker_.config().find_pf(entry.first) != nullptr;
    });
}

void Hardware::hold(const std::string& pf) {
    held_.insert(pf);
}

bool Hardware::is_held(const std::string& pf) const {
    const auto status = pfs_.find(pf);
    return held_.contains(pf) ||
           (status != pfs_.end() && (status->second.state == PfStatus::State::applying ||
                                     status->second.state == PfStatus::State::stuck));
}

void Hardware::let_go(const std::string& pf) {
    held_.erase(pf);
    if (broker_.config().find_pf(pf) == nullptr) {
        pfs_.erase(pf);
        return;
    }
    // Configured again meanwhile, perhaps as another function.
    pfs_[pf].state = PfStatus::State::missing;
    pfs_[pf].address.reset();
    match_pfs();
}

void Hardware::mark_stuck(const std::string& pf, const pci::Address& address, Error why) {
    PfStatus& status = pfs_[pf];
    status.state = PfStatus::State::stuck;
    // One that is configured no more was forgotten when the last of its slots went.
    status.address = address;
    status.problem = std::move(why);
}

std::optional<pci::Address> Hardware::address_of(const std::string& pf) const {
    const auto it = pfs_.find(pf);
    return it == pfs_.end() ? std::nullopt : it->second.address;
}

Worker& Hardware::worker_of(const std::string& pf) {
    const auto address = address_of(pf);
    return workers_.of(address ? address->str() : pf);
}

bool Hardware::settled() const {
    return scrubber_.idle() && std::ranges::none_of(pfs_, [](const auto& entry) {
               return entry.second.state == PfStatus::State::applying;
           });
}

void Hardware::apply() {
    scrubber_.read_support();
    // One that is not configured any more stays for as long as slots of it are leased or on their
    // way back, or something is being done with it.
    std::erase_if(pfs_, [&](const auto& entry) {
        return broker_.config().find_pf(entry.first) == nullptr &&
               broker_.slots_of(entry.first).empty() && !is_held(entry.first);
    });
    // What failed is tried again: that is what a reload is for.
    for (auto& [name, status] : pfs_) {
        if (status.state == PfStatus::State::ready && refuse_impossible(name, status)) continue;
        if (status.state == PfStatus::State::failed || is_to_be_set(name, status))
            status.state = PfStatus::State::missing;
    }
    match_pfs();
    for (const auto& [name, status] : pfs_)
        if (status.state == PfStatus::State::ready) sync(name);
    std::vector<SlotKey> again;
    for (const auto& [key, slot] : broker_.slots()) {
        const auto pf = pfs_.find(key.pf);
        if (pf != pfs_.end() && pf->second.refused) continue;
        if (slot.state == SlotState::quarantined || broker_.is_outdated(slot)) again.push_back(key);
    }
    for (const auto& key : again) scrubber_.scrub(key);
}

void Hardware::look_after_leased() {
    const auto known = broker_.remembered_pfs();
    if (!known) return log_error(known.error());
    for (const auto& stored : *known) {
        const pci::Function* function = world_.find(stored.address);
        if (broker_.slots_of(stored.name).empty() || function == nullptr || !function->is_pf())
            continue;
        PfStatus& status = pfs_[stored.name];
        status.state = PfStatus::State::ready;
        status.address = stored.address;
        sync(stored.name);
    }
}

void Hardware::learn(const std::string& pf, const pci::Address& address,
                     const broker::PfLimits& limits) {
    const auto status = pfs_.find(pf);
    if (status != pfs_.end() && status->second.address == address) status->second.limits = limits;
}

bool Hardware::refuse_impossible(const std::string& name, PfStatus& status) {
    const auto* const pf = broker_.config().find_pf(name);
    auto why = pf != nullptr && status.address
                   ? broker::refusal(broker_.config(), *pf, *status.address, status.limits)
                   : std::nullopt;
    // What was said of a configuration that is no more.
    if (!why && status.refused) status.problem.reset();
    status.refused = why.has_value();
    if (!why) return false;
    if (!status.problem || status.problem->message() != why->message())
        log_error(*why, Level::warning);
    status.problem = std::move(why);
    return true;
}

void Hardware::match_pfs() {
    const auto is_due = [&](const broker::PfConfig& pf) {
        const PfStatus& status = pfs_[pf.name];
        return (status.state == PfStatus::State::missing || status.means_another) &&
               !held_.contains(pf.name);
    };
    const auto& configured = broker_.config().pfs;
    if (std::ranges::none_of(configured, is_due)) return;
    const PfMatches matches = daemon::match_pfs(configured, world_.functions());
    for (const broker::PfConfig& pf : configured)
        if (is_due(pf)) match_pf(pf, matches.at(pf.name));
}

void Hardware::match_pf(const broker::PfConfig& pf, const Result<pci::Address>& match) {
    PfStatus& status = pfs_[pf.name];
    const auto place = place_of(pf.name);
    Result<pci::Address> address = place ? stay(pf, *place, match) : std::unexpected(place.error());
    if (!address && place && *place) return refuse(pf.name, **place, std::move(address).error());
    // Its netdev comes with the driver, and VFs only with one.
    if (address && !world_.find(*address)->driver)
        address = fail(Code::lost, fmt::format("use PF {} at {}", pf.name, *address), pf.name,
                       "no driver is bound to it", "it gets its configuration as soon as one is");
    status.means_another = false;
    if (address) {
        status.address = *address;
        return prepare(pf);
    }
    const bool news = !status.problem || status.problem->message() != address.error().message();
    if (news) log_error(address.error(), Level::warning);
    status.address.reset();
    status.problem = std::move(address).error();
}

Result<std::optional<pci::Address>> Hardware::place_of(const std::string& pf) const {
    VFB_TRY(const auto known, broker_.remembered_pfs());
    for (const auto& stored : known) {
        const pci::Function* function = stored.name == pf ? world_.find(stored.address) : nullptr;
        if (function != nullptr && function->is_pf()) return stored.address;
    }
    return std::nullopt;
}

void Hardware::refuse(const std::string& name, const pci::Address& place, Error why) {
    PfStatus& status = pfs_[name];
    if (!status.problem || status.problem->message() != why.message())
        log_error(why, Level::warning);
    status.state = PfStatus::State::failed;
    status.address = place;
    status.problem = std::move(why);
    status.means_another = true;
    keep_leased(name);
}

// What is being scrubbed or waits for it, is scrubbed all the same: see on_clean().
void Hardware::keep_leased(const std::string& name) {
    const Error why = *pfs_[name].problem;
    for (const auto& [key, slot] : broker_.slots_of(name)) {
        const pci::Function* vf = find_vf(key);
        if (is_lost(slot, vf))
            lose_slot(key, removed(key));
        else if (slot.lease)
            broker_.locate(key, vf->address, vf->group, vf->numa_node);
        else if (slot.state == SlotState::clean || slot.state == SlotState::absent)
            lose_slot(key, why);
    }
}

void Hardware::on_clean(const SlotKey& key) {
    const auto pf = pfs_.find(key.pf);
    if (pf != pfs_.end() && pf->second.means_another) lose_slot(key, *pf->second.problem);
}

void Hardware::prepare(const broker::PfConfig& pf) {
    PfStatus& status = pfs_[pf.name];
    const pci::Address address = *status.address;
    status.state = PfStatus::State::applying;
    status.problem.reset();
    status.settings = wanted_settings(pf, address);
    status.selector = pf.selector;
    // What is found is remembered before anything is done: a daemon that dies meanwhile leaves it
    // to the next one.
    const Request request{
        .name = pf.name,
        .address = address,
        .parameters = {{"pf", address.str()},
                       {"vfs", pf.vfs},
                       {"linkUp", pf.link_up},
                       {"attributes", broker::asked_attributes(broker_.config(), pf)},
                       {"settings", to_json(status.settings)}}};
    call("read-pf", request, &Hardware::found);
}

void Hardware::call(const char* operation, const Request& request, Answer answer) {
    workers_.of(request.address.str())
        .call({.operation = operation,
               .parameters = request.parameters,
               .timeout = kPrepareTimeout,
               .subject = request.address.str(),
               .done =
                   [this, request, answer](Result<WorkerReply> reply) {
                       // Another one by now, or none: whoever waits for this one has to know.
                       if (address_of(request.name) != request.address) return scrubber_.announce();
                       (this->*answer)(request, std::move(reply));
                   },
               .part = {},
               .late =
                   [this, name = request.name] {
                       pfs_[name].state = PfStatus::State::missing;
                       match_pfs();
                       scrubber_.announce();
                   }});
}

void Hardware::found(const Request& request, Result<WorkerReply> reply) {
    // Not configured any more, or as another function: nothing has been done yet.
    PfStatus& status = pfs_[request.name];
    const auto* const pf = broker_.config().find_pf(request.name);
    if (pf == nullptr || pf->selector != status.selector) {
        status.state = PfStatus::State::missing;
        match_pfs();
        return scrubber_.announce();
    }
    if (!reply) return failed(request.name, std::move(reply).error());
    status.limits = pf_limits_from_json(reply->parameters.at("limits"));
    if (refuse_impossible(request.name, status))
        return leave_as_it_is(request.name, !reply->parameters.at("vfs").empty());
    if (auto recorded = record(request, reply->parameters); !recorded)
        return failed(request.name, std::move(recorded).error());
    call("prepare-pf", request, &Hardware::prepared);
}

// One that was in use goes on with the VFs that it has.
void Hardware::leave_as_it_is(const std::string& name, bool had_vfs) {
    PfStatus& status = pfs_[name];
    const auto slots = broker_.slots_of(name);
    const bool in_use = had_vfs && std::ranges::any_of(slots, [](const auto& entry) {
                            const Slot& slot = entry.second;
                            return slot.address || slot.lease || slot.original;
                        });
    status.state = in_use ? PfStatus::State::ready : PfStatus::State::failed;
    if (in_use) sync(name);
    scrubber_.announce();
}

void Hardware::failed(const std::string& name, Error error) {
    log_error(error);
    PfStatus& status = pfs_[name];
    status.state = error.code == Code::stuck ? PfStatus::State::stuck : PfStatus::State::failed;
    status.problem = std::move(error);
    scrubber_.announce();
}

// What the configuration names no more is restored to what was found.
PfSettings Hardware::wanted_settings(const broker::PfConfig& pf, const pci::Address& address) {
    PfSettings wanted{.mtu = pf.mtu, .eswitch_mode = pf.eswitch_mode};
    const auto known = broker_.remembered_pfs();
    if (!known) return wanted;
    for (const auto& old : *known) {
        if (old.name != pf.name || old.address != address) continue;
        if (!wanted.mtu) wanted.mtu = old.mtu;
        if (!wanted.eswitch_mode) wanted.eswitch_mode = old.eswitch_mode;
    }
    return wanted;
}

bool Hardware::is_to_be_set(const std::string& name, const PfStatus& status) {
    const auto* const pf = broker_.config().find_pf(name);
    return status.state == PfStatus::State::ready && pf != nullptr && status.address &&
           !status.refused &&
           (status.selector != pf->selector ||
            status.settings != wanted_settings(*pf, *status.address));
}

// The worker has undone what it had done. If all of it is as it was found, nothing is remembered:
// what somebody else does to the PF from now on is not ours to give back.
void Hardware::undone(const Request& request, Result<WorkerReply> now) {
    if (now && now->parameters.at("vfs").empty()) {
        const auto known = broker_.remembered_pfs();
        if (!known) log_error(known.error());
        for (const auto& pf : known.value_or(std::vector<broker::StoredPf>{}))
            if (pf.name == request.name && is_as_found(pf, found_pf(now->parameters)))
                if (auto done = broker_.forget_pf(pf.name); !done) log_error(done.error());
    }
    Error error = *pfs_[request.name].problem;
    failed(request.name, std::move(error));
}

void Hardware::prepared(const Request& request, Result<WorkerReply> reply) {
    const auto& [name, address, parameters] = request;
    PfStatus& status = pfs_[name];
    if (!reply && reply.error().code != Code::stuck) {
        status.problem = std::move(reply).error();
        return call("read-pf", request, &Hardware::undone);
    }
    if (!reply) return failed(name, std::move(reply).error());
    if (auto recorded = record_originals(name, reply->parameters.at("vfs")); !recorded)
        return failed(name, std::move(recorded).error());
    std::vector<pci::Address> touched{address};
    for (const auto& vf : reply->parameters["vfs"])
        if (const auto parsed = pci::Address::parse(vf["address"].get<std::string>()))
            touched.push_back(*parsed);
    // A resize that a former daemon did not see the end of: it ended, or has been undone just now.
    if (const auto* resize = broker_.unsettled_resize(name))
        if (auto done = broker_.end_resize(name, touched.size() - 1 == resize->to); !done)
            log_error(done.error());
    check_count(name, status, touched.size() - 1);
    // What its driver lacks is known only now that there are VFs.
    if (reply->parameters.contains("limits"))
        status.limits = pf_limits_from_json(reply->parameters["limits"]);
    const bool created = reply->parameters.value("created", false);
    if (created)
        log(Level::info, "created {} VFs on {} (PF {})", touched.size() - 1, address, name);
    // Ready when the world has been read again: until then it may show the PF without its VFs, and
    // their groups and NUMA nodes have to be known before anything is done with them.
    world_.refresh(touched, [this, name, address, created] {
        const auto now = pfs_.find(name);
        if (now == pfs_.end() || now->second.address != address) return scrubber_.announce();
        if (refuse_impossible(name, now->second)) return leave_as_it_is(name, !created);
        now->second.state = PfStatus::State::ready;
        // The configuration may have changed meanwhile.
        if (is_to_be_set(name, now->second)) {
            now->second.state = PfStatus::State::missing;
            return match_pfs();
        }
        sync(name);
        scrubber_.announce();
    });
}

Result<> Hardware::record(const Request& request, const proto::Json& found) {
    broker::StoredPf stored = found_pf(found);
    stored.name = request.name;
    stored.address = request.address;
    stored.created_vfs =
        found.at("vfs").empty() && request.parameters.at("vfs").get<unsigned>() > 0;
    VFB_TRY(const auto known, broker_.remembered_pfs());
    for (const auto& old : known) {
        if (old.name != stored.name) continue;
        // It went away, and with it what was found of it.
        if (old.address != stored.address) {
            VFB_CHECK(broker_.forget_pf(old.name));
            continue;
        }
        // Only what was found at first is the original.
        if (old.created_vfs || old.found_vfs) stored.autoprobe = old.autoprobe;
        stored.created_vfs |= old.created_vfs;
        stored.found_vfs = old.found_vfs;
        if (old.was_up) stored.was_up = old.was_up;
        if (old.mtu) stored.mtu = old.mtu;
        if (old.eswitch_mode) stored.eswitch_mode = old.eswitch_mode;
    }
    VFB_CHECK(broker_.remember_pf(stored));
    return record_originals(stored.name, found.at("vfs"));
}

Result<> Hardware::record_originals(const std::string& name, const proto::Json& vfs) {
    std::uint16_t index = 0;
    for (const auto& vf : vfs)
        VFB_CHECK(broker_.remember_original({name, index++}, binding_from_json(vf.at("binding"))));
    return {};
}

void Hardware::check_count(const std::string& name, PfStatus& status, std::size_t present) {
    const broker::PfConfig* pf = broker_.config().find_pf(name);
    if (pf == nullptr || status.refused) return;
    if (present == pf->vfs) {
        status.right = pf->vfs;
        return;
    }
    Error error =
        fail(Code::busy, fmt::format("have {} VFs on {}", pf->vfs, *status.address),
             status.address->str(),
             fmt::format("it has {} already, and changing the number would remove those", present),
             "when none of them is in use: vfbroker apply")
            .error();
    const bool news = !status.problem || status.problem->message() != error.message();
    if (news) log_error(error, Level::warning);
    status.problem = std::move(error);
}

const pci::Function* Hardware::find_vf(const SlotKey& key) const {
    const auto address = address_of(key.pf);
    const pci::Function* pf = address ? world_.find(*address) : nullptr;
    if (pf == nullptr || !pf->sriov || key.index >= pf->sriov->vfs.size()) return nullptr;
    return world_.find(pf->sriov->vfs[key.index]);
}

// The function that a slot (or its lease) meant is not there, or another one is in its place.
bool Hardware::is_lost(const Slot& slot, const pci::Function* vf) const {
    if (slot.address && (vf == nullptr || vf->address != *slot.address)) return true;
    const broker::Lease* lease = slot.lease ? broker_.find_lease(*slot.lease) : nullptr;
    if (lease == nullptr) return false;
    return vf == nullptr || std::ranges::any_of(lease->functions, [&](const auto& function) {
               return function.slot == slot.key && function.address != vf->address;
           });
}

void Hardware::sync(const std::string& name) {
    const auto it = pfs_.find(name);
    if (it == pfs_.end()) return;
    if (it->second.means_another) return keep_leased(name);
    if (it->second.state != PfStatus::State::ready) return;
    std::vector<SlotKey> present;
    bool unknown_original = false;
    const auto slots = broker_.slots_of(name);
    for (const auto& [key, slot] : slots) {
        const pci::Function* vf = find_vf(key);
        if (is_lost(slot, vf)) lose_slot(key, removed(key));
        if (vf == nullptr) continue;
        // Still leased under the name that its PF had before: see resync().
        if (broker_.find_lease_of_another(key, vf->address) != nullptr) continue;
        present.push_back(key);
        unknown_original |= !slot.original;
    }
    // Its VFs are on their way to be removed; configured again meanwhile, it waits for let_go().
    if (held_.contains(name)) return;
    // VFs that somebody else created: see what they are bound to before anything is done to them.
    const broker::PfConfig* config = broker_.config().find_pf(name);
    if (unknown_original && config != nullptr && !it->second.refused) return prepare(*config);
    const pci::Function* pf = it->second.address ? world_.find(*it->second.address) : nullptr;
    if (!slots.empty() && pf != nullptr && pf->sriov && pf->sriov->vfs.empty())
        fail_without_vfs(name);
    if (pf != nullptr && has_wrong_number(name)) {
        check_count(name, it->second, pf->sriov->vfs.size());
        if (repair_number(name)) return;
    }
    for (const SlotKey& key : present) {
        if (it->second.refused && !broker_.find(key)->original) continue;  // never ours yet
        const pci::Function& vf = *find_vf(key);
        if (broker_.locate(key, vf.address, vf.group, vf.numa_node)) scrubber_.scrub(key);
    }
}

void Hardware::fail_without_vfs(const std::string& name) {
    PfStatus& status = pfs_[name];
    if (repairs(name) && repairs_again(name)) {
        log(Level::warning, "another program removed the VFs of PF {}: creating them again", name);
        status.state = PfStatus::State::missing;
        return match_pfs();
    }
    status.state = PfStatus::State::failed;
    status.problem = fail(Code::lost, fmt::format("use the VFs of PF {}", name), name,
                          "another program removed them", "vfbroker reload creates them again")
                         .error();
    log_error(*status.problem);
}

void Hardware::lose_slot(const SlotKey& key, Error why) {
    const Slot* slot = broker_.find(key);
    if (slot == nullptr) return;
    const auto lease = slot->lease;
    const std::string where = slot->address ? slot->address->str() : key.str();
    scrubber_.forget(key);
    if (auto lost = broker_.lose(key, std::move(why)); !lost) log_error(lost.error());
    if (!lease) return;
    log(Level::warning, "{} went away under lease {}: its owner has lost it", where, *lease);
    if (on_lost_) on_lost_(*lease);
}

void Hardware::on_world_change(const pci::Address& address, const pci::Function* before,
                               const pci::Function* now) {
    // What makes a function a PF or a VF goes before the function itself does, and may have gone
    // from what was read last.
    auto pf = address;
    for (const auto* function : {before, now})
        if (function != nullptr && function->physfn) pf = *function->physfn;
    std::vector<std::string> concerned;
    for (auto& [name, status] : pfs_)
        if (status.address == pf) concerned.push_back(name);
    for (const std::string& name : concerned) {
        if (now == nullptr && address == pf)
            vanished(name);
        else
            sync(name);
    }
    if (now != nullptr && now->is_pf()) {
        // Its driver is back: what the PF had went with the last one.
        const bool driver_came = before != nullptr && !before->driver && now->driver;
        for (const std::string& name : concerned)
            if (driver_came && pfs_[name].state == PfStatus::State::failed && repairs(name) &&
                repairs_again(name))
                pfs_[name].state = PfStatus::State::missing;
        match_pfs();
    }
    if (now == nullptr || (before != nullptr && before->driver != now->driver))
        retry_group(address, now != nullptr ? *now : *before);
    // Whoever waits for a PF that has just gone.
    if (now == nullptr && !concerned.empty()) scrubber_.announce();
}

void Hardware::vanished(const std::string& name) {
    PfStatus& status = pfs_[name];
    status.problem = fail(Code::lost, fmt::format("use PF {} at {}", name, *status.address), name,
                          "it was removed from the machine",
                          "it gets its configuration again when it comes back")
                         .error();
    log_error(*status.problem, Level::warning);
    status.state = PfStatus::State::ready;  // sync() works on a PF that is there
    const bool meant_another = std::exchange(status.means_another, false);
    sync(name);
    status.state = PfStatus::State::missing;
    status.address.reset();
    // What was done to it went with it, and another card may come in its place.
    if (auto done = broker_.forget_pf(name); !done) log_error(done.error());
    if (meant_another) match_pfs();
}

void Hardware::retry_group(const pci::Address& address, const pci::Function& function) {
    std::vector<SlotKey> again;
    for (const auto& [key, slot] : broker_.slots()) {
        const bool blocked = slot.state == SlotState::quarantined && slot.problem &&
                             slot.problem->code == Code::not_viable;
        if (blocked && function.group && slot.group == function.group && slot.address != address)
            again.push_back(key);
    }
    for (const SlotKey& key : again) scrubber_.scrub(key);
    check_driver(address);
}

void Hardware::check_driver(const pci::Address& address) {
    if (!lost_driver(address)) return;
    // That may have been read in the middle of a scrub, which binds the driver anew.
    world_.refresh({address}, [this, address] {
        if (!lost_driver(address)) return;
        const auto& driver = world_.find(address)->driver;
        on_drift(broker_.find_at(address)->key,
                 fmt::format("another program unbound it from its VFIO driver{}",
                             driver ? " and bound it to " + *driver : ""));
    });
}

bool Hardware::lost_driver(const pci::Address& address) const {
    const broker::Slot* slot = broker_.find_at(address);
    const pci::Function* function = world_.find(address);
    return slot != nullptr && slot->state == SlotState::clean && function != nullptr &&
           !pci::is_vfio_driver(function->driver);
}

}  // namespace vfb::daemon
