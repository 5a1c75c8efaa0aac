// SPDX-License-Identifier: GPL-2.0-or-later
#include "give_back.hpp"

#include <algorithm>
#include <functional>

#include "log.hpp"
#include "wire.hpp"

namespace vfb::daemon {
namespace {

using namespace std::chrono_literals;

constexpr auto kGiveBackTimeout = 60s;

// Also under another name that it had, or has: a lease may hold one of its VFs by that.
bool has_slots(const broker::Broker& broker, const broker::StoredPf& pf) {
    return std::ranges::any_of(broker.slots(), [&](const auto& entry) {
        return broker.belongs(entry.second, pf.name, pf.address);
    });
}

}  // namespace

void GiveBack::begin() {
    pending_.clear();
    const auto remembered = broker_.remembered_pfs();
    if (!remembered) return log_error(remembered.error());
    for (const auto& pf : *remembered)
        // One that has another name now stays, with what is known of it, until that name goes too.
        if (broker_.config().find_pf(pf.name) == nullptr && !running_.contains(pf.name) &&
            !hardware_.is_configured(pf.address))
            pending_.push_back(pf);
    check();
}

void GiveBack::check() {
    const auto retired = broker_.retire();
    for (const auto& slot : retired)
        if (broker_.config().find_pf(slot.key.pf) != nullptr) give_back(slot);
    // One whose VFs are being replaced is given back after that.
    const auto at_rest = [&](const auto& pf) {
        return !has_slots(broker_, pf) && !hardware_.is_held(pf.name);
    };
    const auto begin = std::ranges::stable_partition(pending_, std::not_fn(at_rest)).begin();
    const std::vector<broker::StoredPf> now(begin, pending_.end());
    pending_.erase(begin, pending_.end());
    for (const auto& pf : now) give_back(pf);
    if (!retired.empty()) hardware_.resync();
}

// One VF of a PF that keeps others.
void GiveBack::give_back(const broker::Slot& slot) {
    if (!slot.address || !slot.original) return;
    log(Level::info, "{} is in no pool any more: its driver is restored", *slot.address);
    hardware_.worker_of(slot.key.pf)
        .call(
            {.operation = "give-back-vf",
             .parameters = {{"address", slot.address->str()}, {"binding", to_json(*slot.original)}},
             .timeout = kGiveBackTimeout,
             .subject = slot.address->str(),
             .done =
                 [this, key = slot.key](const Result<WorkerReply>& reply) {
                     if (!reply) return log_error(reply.error());
                     if (auto done = broker_.forget_original(key); !done) log_error(done.error());
                 },
             .part = {},
             .late = {}});
}

void GiveBack::give_back(const broker::StoredPf& pf) {
    // Another device may be in its place, or none: what was done to it is gone with it.
    const pci::Function* function = world_.find(pf.address);
    if (function == nullptr || !function->is_pf()) {
        if (auto done = broker_.forget_pf(pf.name); !done) log_error(done.error());
        return;
    }
    log(Level::info, "PF {} ({}) is configured no more: giving it back to the host", pf.name,
        pf.address);
    proto::Json vfs = proto::Json::array();
    for (const auto& [key, slot] : broker_.remembered_slots())
        if (key.pf == pf.name && slot.original)
            vfs.push_back({{"index", key.index}, {"binding", to_json(*slot.original)}});
    running_.insert(pf.name);
    hardware_.hold(pf.name);
    workers_.of(pf.address.str())
        .call({.operation = "give-back-pf",
               .parameters = {{"pf", pf.address.str()},
                              {"removeVfs", pf.created_vfs || pf.found_vfs.has_value()},
                              {"foundVfs", pf.found_vfs.value_or(0)},
                              {"autoprobe", pf.autoprobe},
                              {"setDown", pf.was_up && !*pf.was_up},
                              {"settings",
                               to_json(PfSettings{.mtu = pf.mtu, .eswitch_mode = pf.eswitch_mode})},
                              {"vfs", std::move(vfs)}},
               .timeout = kGiveBackTimeout,
               .subject = pf.address.str(),
               .done = [this, pf](const Result<WorkerReply>& reply) { given_back(pf, reply); },
               .part = {},
               .late =
                   [this, pf] {
                       // How it ended was not said: it is looked at again.
                       hardware_.let_go(pf.name);
                       begin();
                       if (on_end_) on_end_();
                   }});
}

void GiveBack::given_back(const broker::StoredPf& pf, const Result<WorkerReply>& reply) {
    running_.erase(pf.name);
    if (reply) {
        if (auto done = broker_.forget_pf(pf.name); !done) log_error(done.error());
        log(Level::info, "PF {} ({}) is as it was found", pf.name, pf.address);
    } else {
        log_error(reply.error(), Level::warning);
    }
    // While the kernel is inside, nothing may be begun with it: it stays held, see `late`.
    if (!reply && reply.error().code == Code::stuck)
        hardware_.mark_stuck(pf.name, pf.address, reply.error());
    else
        hardware_.let_go(pf.name);
    if (on_end_) on_end_();
}

}  // namespace vfb::daemon
