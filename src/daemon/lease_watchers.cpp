// SPDX-License-Identifier: GPL-2.0-or-later
#include "lease_watchers.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "answers.hpp"

namespace vfb::daemon {

using proto::Json;

void LeaseWatchers::add(const Request& request, std::vector<Watched> leases) {
    for (Watched& watched : leases) {
        const broker::Lease* lease = broker_.find_lease(watched.id);
        if (lease == nullptr || !broker::Broker::may_touch(*lease, request.caller) ||
            lease->functions.front().generation != watched.generation)
            watched.ended = "there is no such lease of yours";
    }
    Watching watching{.request = request, .leases = std::move(leases), .told = {}};
    if (!tell(watching)) watching_.push_back(std::move(watching));
}

void LeaseWatchers::changed() {
    if (watching_.empty() || later_) return;
    auto later = loop_.defer([this] {
        later_.reset();
        watching_.remove_if([this](Watching& watching) { return tell(watching); });
    });
    if (later) later_ = std::move(*later);
}

void LeaseWatchers::leaving(const pci::Address& address) {
    leaving_.insert(address);
    changed();
}

void LeaseWatchers::ended(const broker::Lease& lease, const std::string& how) {
    for (const auto& function : lease.functions) leaving_.erase(function.address);
    for (Watching& watching : watching_)
        for (Watched& watched : watching.leases)
            if (watched.id == lease.id && !watched.ended) watched.ended = how;
    changed();
}

void LeaseWatchers::connection_closed(std::uint64_t session) {
    watching_.remove_if(
        [session](const Watching& watching) { return watching.request.session == session; });
}

bool LeaseWatchers::tell(Watching& watching) const {
    Json states = Json::array();
    for (const Watched& watched : watching.leases) states.push_back(state(watched));
    if (std::ranges::all_of(watching.leases,
                            [](const Watched& watched) { return watched.ended.has_value(); })) {
        succeed(watching.request, {{"leases", std::move(states)}});
        return true;
    }
    if (states == watching.told) return false;
    // One that does not read is told how things are by then: see Server::on_flushed().
    if (watching.request.progress(dump(proto::make_reply({{"leases", states}}, true))))
        watching.told = std::move(states);
    return false;
}

Json LeaseWatchers::state(const Watched& watched) const {
    Json lost = Json::array();
    Json reason;
    Json ended;
    const broker::Lease* lease = broker_.find_lease(watched.id);
    if (watched.ended) {
        ended = *watched.ended;
    } else if (lease != nullptr) {
        for (const auto& function : lease->functions)
            if (function.lost) lost.push_back(function.address.str());
        if (auto asked = return_reason(*lease)) reason = std::move(*asked);
    }
    return {{"lease", watched.id},
            {"lost", std::move(lost)},
            {"returnReason", std::move(reason)},
            {"ended", std::move(ended)}};
}

std::optional<std::string> LeaseWatchers::return_reason(const broker::Lease& lease) const {
    for (const auto& function : lease.functions) {
        if (function.lost) continue;
        if (leaving_.contains(function.address))
            return fmt::format("the kernel is taking {} away, and waits until it is closed",
                               function.address);
        const broker::Slot* slot = broker_.find(function.slot);
        if (slot == nullptr) continue;
        if (const auto* target = broker_.drained_by(*slot))
            return fmt::format("{} is drained", target->str());
    }
    return std::nullopt;
}

}  // namespace vfb::daemon
