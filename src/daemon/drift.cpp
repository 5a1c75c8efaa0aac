// SPDX-License-Identifier: GPL-2.0-or-later
#include "drift.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/epoll.h>

#include "log.hpp"
#include "wire.hpp"

namespace vfb::daemon {
namespace {

constexpr std::chrono::seconds kReadTimeout{20};

// `vlan from 0 to 5`, of what the driver reports.
std::vector<std::string> changes(const broker::Slot& slot, const nic::VfAttributes& actual) {
    std::vector<std::string> list;
    for (const auto& name : nic::differing(slot.attributes, actual)) {
        const auto now = nic::value_text(actual, name);
        const auto was = nic::value_text(slot.attributes, name);
        // A guest that is trusted may change its MAC address.
        const bool by_guest = slot.lease && name == "mac" && slot.attributes.trust == true;
        if (now && was && !by_guest)
            list.push_back(fmt::format("{} from {} to {}", name, *was, *now));
    }
    return list;
}

}  // namespace

Result<> Drift::start() {
    VFB_TRY(monitor_, nic::LinkMonitor::open());
    VFB_TRY(source_, loop_.watch(monitor_->fd(), EPOLLIN, [this](auto) { on_links(); }));
    return {};
}

void Drift::on_links() {
    const auto devices = monitor_->take();
    if (!devices) return log_error(devices.error(), Level::warning);
    for (const auto& [name, status] : hardware_.pfs()) {
        if (!status.address || status.state != PfStatus::State::ready) continue;
        if (!*devices || (*devices)->contains(status.address->str())) look(name);
    }
}

std::optional<Drift::Before> Drift::before(const broker::Slot& slot) const {
    const broker::Lease* lease = slot.lease ? broker_.find_lease(*slot.lease) : nullptr;
    const bool settled = lease != nullptr && lease->settled;
    if (slot.state != broker::SlotState::clean && !settled) return std::nullopt;
    return Before{
        .state = slot.state, .generation = slot.generation, .attributes = slot.attributes};
}

Drift::Snapshot Drift::snapshot(const std::string& pf) const {
    Snapshot snapshot;
    const auto first = broker_.slots().lower_bound(broker::SlotKey{pf, 0});
    for (auto at = first; at != broker_.slots().end() && at->first.pf == pf; ++at)
        if (const auto now = before(at->second)) snapshot.emplace(at->first, *now);
    return snapshot;
}

void Drift::look(const std::string& pf) {
    if (!looking_.insert(pf).second) {
        again_.insert(pf);
        return;
    }
    const auto address = hardware_.address_of(pf);
    Snapshot asked = snapshot(pf);
    if (!address || asked.empty()) {
        looking_.erase(pf);
        return;
    }
    hardware_.worker_of(pf).call(
        {.operation = "read-attributes",
         .parameters = {{"pf", address->str()}},
         .timeout = kReadTimeout,
         .subject = address->str(),
         .done =
             [this, pf, asked = std::move(asked)](const Result<WorkerReply>& reply) {
                 looking_.erase(pf);
                 if (reply) {
                     std::vector<nic::VfAttributes> actual;
                     for (const auto& entry : reply->parameters.at("attributes"))
                         actual.push_back(
                             attributes_from_json(entry).value_or(nic::VfAttributes{}));
                     compare(asked, actual);
                 }
                 // Without an answer nothing is known: the next change asks again.
                 if (again_.erase(pf) != 0) look(pf);
             },
         .part = {},
         .late = {}});
}

void Drift::compare(const Snapshot& asked, const std::vector<nic::VfAttributes>& actual) {
    for (const auto& [key, then] : asked) {
        const broker::Slot* slot = broker_.find(key);
        // What was written meanwhile is no drift.
        if (slot == nullptr || key.index >= actual.size() || before(*slot) != then) continue;
        compare(*slot, actual[key.index]);
    }
}

void Drift::compare(const broker::Slot& slot, const nic::VfAttributes& actual) {
    const auto changed = changes(slot, actual);
    if (changed.empty()) {
        if (slot.lease && slot.problem) broker_.note(slot.key, std::nullopt);
        return;
    }
    const std::string what = fmt::format("another program changed {}", fmt::join(changed, ", "));
    hardware_.on_drift(slot.key, what);
}

}  // namespace vfb::daemon
