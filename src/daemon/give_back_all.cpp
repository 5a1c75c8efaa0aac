// SPDX-License-Identifier: GPL-2.0-or-later
//
// Task::give_back: with no configuration, nothing is anybody's but what is leased, and all else
// goes back to the host by GiveBack, as it does after a reload. It ends when nothing is left to be
// given back, or in kReadyTimeout with what is.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/process.hpp"
#include "daemon.hpp"
#include "log.hpp"

namespace vfb::daemon {
namespace {

// Whether somebody may still use what it is for: a guest is until it is released, and a connection
// ended with the last daemon, but not what its process does with its descriptors.
bool is_held(const broker::Lease& lease, const SysRoot& root) {
    if (!lease.settled) return false;
    if (lease.owner.kind == broker::OwnerKind::guest) return true;
    const auto now = identify_process(root.proc(), lease.owner.process.pid);
    return now ? *now == lease.owner.process : now.error().code != Code::not_found;
}

std::string with_functions(const broker::Lease& lease) {
    std::vector<std::string> addresses;
    addresses.reserve(lease.functions.size());
    for (const auto& function : lease.functions) addresses.push_back(function.address.str());
    return fmt::format("{} holds {}", describe(lease), fmt::join(addresses, ", "));
}

}  // namespace

// Before any lease is adopted, as that ends those of connections.
Result<> Daemon::check_leases() {
    std::vector<broker::LeaseId> connections;
    std::vector<std::string> held;
    for (const auto& [id, lease] : broker_.leases()) {
        if (!is_held(lease, root_)) continue;
        held.push_back(with_functions(lease));
        if (lease.owner.kind == broker::OwnerKind::connection) connections.push_back(id);
    }
    if (held.empty()) return {};
    if (!options_.despite_leases)
        return fail(Code::busy, "give the functions back to the host", "vfbrokerd",
                    fmt::format("{}", fmt::join(held, "; ")),
                    "end these guests, or their leases: vfbroker release LEASE");
    for (const auto& lease : held)
        log(Level::warning, "{}: that stays as it is until it is closed", lease);
    // What is left of the connection is its process.
    for (const auto id : connections)
        VFB_CHECK(broker_.transfer(id, broker_.find_lease(id)->owner.process));
    return {};
}

void Daemon::check_given_back() {
    if (options_.task != Task::give_back || !inventory_read_ || !give_back_.idle()) return;
    const bool at_rest = std::ranges::all_of(
        broker_.slots(), [](const auto& entry) { return entry.second.lease.has_value(); });
    if (at_rest && hardware_.settled()) end_giving_back();
}

void Daemon::end_giving_back() {
    int status = 0;
    const auto left = broker_.remembered_pfs();
    if (!left) {
        log_error(left.error());
        return loop_->stop(1);
    }
    for (const auto& [key, slot] : broker_.slots()) {
        if (slot.lease) continue;
        status = 1;
        if (slot.problem) log_error(*slot.problem);
        log(Level::error, "{} was not given back: it is {}", key.str(), to_string(slot.state));
    }
    for (const auto& pf : *left) {
        const bool leased = std::ranges::any_of(broker_.slots(), [&](const auto& entry) {
            return entry.second.lease && broker_.belongs(entry.second, pf.name, pf.address);
        });
        if (leased) continue;
        status = 1;
        log(Level::error, "PF {} ({}) was not given back", pf.name, pf.address);
    }
    loop_->stop(status);
}

}  // namespace vfb::daemon
