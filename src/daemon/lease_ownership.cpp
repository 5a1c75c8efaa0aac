// SPDX-License-Identifier: GPL-2.0-or-later
//
// Leasing, from the hand-over on: whose a lease is, and its end.
#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <set>

#include "events.hpp"
#include "leasing.hpp"
#include "log.hpp"

namespace vfb::daemon {
namespace {

using broker::Lease;
using broker::LeaseId;
using broker::LentNode;
using broker::OwnerKind;

constexpr std::chrono::seconds kAgain{1};

std::string keep_operation(LeaseId id) {
    return fmt::format("keep lease {}", id);
}

}  // namespace

Result<> Leasing::watch_owner(LeaseId id, std::uint64_t session, int connection_fd) {
    const Lease& lease = *broker_.find_lease(id);
    if (lease.owner.kind == OwnerKind::guest) return {};
    if (lease.owner.kind == OwnerKind::connection) {
        watches_[id].session = session;
        const LeaseId connection = lease.owner.connection;
        if (connections_.emplace(session, connection).second)
            fd_store_.put(FdStore::connection_name(connection), connection_fd);
        return {};
    }
    VFB_TRY(auto pidfd, open_pidfd(root_.proc(), lease.owner.process));
    fd_store_.put(FdStore::process_name(id), pidfd.get());
    return watch_process(id, std::move(pidfd));
}

Result<> Leasing::watch_process(LeaseId id, UniqueFd pidfd) {
    VFB_TRY(auto source, loop_.watch(pidfd.get(), EPOLLIN, [this, id](std::uint32_t) {
        owner_gone(id, "its process has ended");
    }));
    watches_[id] = Watch{.pidfd = std::move(pidfd), .source = std::move(source), .session = {}};
    return {};
}

void Leasing::owner_gone(LeaseId id, const std::string& how) {
    watches_.erase(id);
    end_at_last(id, how);
}

void Leasing::end_at_last(LeaseId id, const std::string& how) {
    unended_.erase(id);
    if (broker_.find_lease(id) == nullptr) return;
    const auto ended = end(id, {}, how);
    if (ended) return;
    // The disk is full, most likely: that ends without an event.
    log_error(ended.error());
    if (auto again = loop_.after(kAgain, [this, id, how] { end_at_last(id, how); }))
        unended_[id] = std::move(*again);
}

Result<> Leasing::end(LeaseId id, std::optional<std::uint64_t> generation, const std::string& how,
                      const broker::Caller* caller) {
    VFB_TRY(const Lease* lease, broker_.find_to_end(id, generation));
    // First: what is forgotten before it is taken back stays its user's for ever after a crash.
    take_back_nodes(*lease);
    VFB_TRY(const auto ended, broker_.end(id, generation));
    if (ended.settled) {
        auto facts = facts_of(ended);
        if (caller != nullptr) facts.caller = *caller;
        log_event(Event::released, facts, fmt::format("lease {} ended: {}", id, how));
    }
    take_back(ended, how);
    return {};
}

void Leasing::take_back(const Lease& lease, const std::string& how) {
    watches_.erase(lease.id);
    if (lease.owner.kind == OwnerKind::connection) forget_connection(lease.owner.connection);
    if (lease.owner.kind == OwnerKind::process) fd_store_.remove(FdStore::process_name(lease.id));
    for (const auto& function : lease.functions)
        if (!function.lost) hardware_.scrubber().scrub(function.slot);
    if (on_end_) on_end_(lease, how);
}

void Leasing::forget_connection(LeaseId connection) {
    for (const auto& [id, lease] : broker_.leases())
        if (lease.owner.connection == connection) return;
    std::erase_if(connections_, [&](const auto& entry) { return entry.second == connection; });
    fd_store_.remove(FdStore::connection_name(connection));
}

// Group numbers are used again: the node of a function that was lost may be the next owner's.
void Leasing::take_back_nodes(const Lease& lease) {
    const auto is_ours = [&](const LentNode& node) {
        return std::ranges::any_of(lease.functions, [&](const broker::LeasedFunction& function) {
            if (function.lost) return false;
            const auto nodes = vfio::find_nodes(root_, function.address);
            return nodes && nodes->group == node.path;
        });
    };
    for (const LentNode& node : lease.nodes) {
        if (!root_.dev().exists(node.path) || !is_ours(node)) continue;
        if (auto done = root_.dev().set_owner(node.path, node.original); !done)
            log_error(done.error());
    }
}

void Leasing::connection_closed(std::uint64_t session) {
    std::erase_if(waiting_, [&](const Waiting& waiting) { return waiting.session == session; });
    for (const auto& granting : granting_)
        if (granting->session == session) granting->cancelled = true;
    std::vector<LeaseId> ended;
    for (const auto& [id, watch] : watches_)
        if (watch.session == session) ended.push_back(id);
    for (const LeaseId id : ended) owner_gone(id, "its connection was closed");
}

Result<const Lease*> Leasing::find_settled(LeaseId id, const broker::Caller& caller,
                                           const std::string& operation) const {
    const Lease* lease = broker_.find_lease(id);
    // A lease that the caller may not see is told apart from none to nobody.
    if (lease == nullptr || !broker::Broker::may_touch(*lease, caller))
        return fail(Code::not_found, operation, std::to_string(id), "you have no such lease",
                    "vfbroker leases");
    if (!lease->settled)
        return fail(Code::busy, operation, std::to_string(id), "it is being handed over just now");
    return lease;
}

Result<> Leasing::transfer(LeaseId id, const std::optional<ProcessId>& to,
                           const broker::Caller& caller) {
    const std::string operation = fmt::format("transfer lease {}", id);
    VFB_TRY(const Lease* lease, find_settled(id, caller, operation));
    const OwnerKind before = lease->owner.kind;
    if (before == OwnerKind::guest)
        return fail(Code::invalid, operation, std::to_string(id),
                    "it stays until it is released, whatever its process does");
    const ProcessId process = to.value_or(lease->owner.process);
    if (before == OwnerKind::process && process == lease->owner.process) return {};
    // A process that has ended owns nothing: the lease stays its owner's.
    VFB_TRY(auto pidfd, open_pidfd(root_.proc(), process));
    const LeaseId connection = lease->owner.connection;
    VFB_CHECK(broker_.transfer(id, process));
    if (before == OwnerKind::connection) forget_connection(connection);
    if (before == OwnerKind::process) fd_store_.remove(FdStore::process_name(id));
    fd_store_.put(FdStore::process_name(id), pidfd.get());
    watches_.erase(id);
    if (auto watched = watch_process(id, std::move(pidfd)); !watched) {
        owner_gone(id, "its process cannot be watched");
        return watched;
    }
    auto facts = facts_of(*broker_.find_lease(id));
    facts.caller = caller;
    log_event(Event::transferred, facts,
              fmt::format("lease {} belongs to pid {} ({}) now", id, process.pid,
                          process_name(root_.proc(), process.pid)));
    return {};
}

bool Leasing::has_netdev(const Lease& lease) const {
    return std::ranges::any_of(lease.functions, [this](const broker::LeasedFunction& leased) {
        const pci::Function* function = leased.lost ? nullptr : world_.find(leased.address);
        return function != nullptr && !function->netdevs.empty();
    });
}

void Leasing::keep(LeaseId id, std::uint64_t session, std::function<void(Result<>)> done) {
    const Lease* lease = broker_.find_lease(id);
    const auto watch = watches_.find(id);
    if (lease == nullptr || watch == watches_.end() || watch->second.session != session)
        return done(fail(Code::not_found, keep_operation(id), std::to_string(id),
                         "no lease of this connection has that number",
                         "a lease is kept over the connection that asked for it"));
    // What is known of its interfaces may be older than their way into the guest's namespace.
    std::vector<pci::Address> addresses;
    for (const auto& function : lease->functions) addresses.push_back(function.address);
    world_.refresh(addresses,
                   [this, id, session, done = std::move(done)] { done(keep_now(id, session)); });
}

Result<> Leasing::keep_now(LeaseId id, std::uint64_t session) {
    const Lease* lease = broker_.find_lease(id);
    const auto watch = watches_.find(id);
    if (lease == nullptr || watch == watches_.end() || watch->second.session != session)
        return fail(Code::lost, keep_operation(id), std::to_string(id), "it has ended meanwhile");
    for (const auto& function : lease->functions)
        if (function.lost)
            return fail(Code::lost, keep_operation(id), function.address.str(),
                        fmt::format("{} was removed from the machine", function.address));
    if (lease->hand_off == broker::HandOff::netdev && has_netdev(*lease))
        return fail(Code::busy, keep_operation(id), std::to_string(id),
                    "its network interface is in the host's network namespace",
                    "move it into the guest's first; if that was done, that namespace has ended");
    const LeaseId connection = lease->owner.connection;
    VFB_CHECK(broker_.keep(id));
    watches_.erase(id);
    forget_connection(connection);
    log_event(Event::transferred, facts_of(*lease),
              fmt::format("lease {} is kept for {}", id,
                          lease->guest.empty() ? "a guest without a name" : lease->guest));
    return {};
}

void Leasing::end_returned() {
    std::vector<LeaseId> returned;
    for (const auto& [id, lease] : broker_.leases())
        if (lease.settled && lease.owner.kind == OwnerKind::guest &&
            lease.hand_off == broker::HandOff::netdev && has_netdev(lease))
            returned.push_back(id);
    for (const LeaseId id : returned)
        owner_gone(id, "its network interface came back from a namespace that has ended");
}

void Leasing::end_returned(const pci::Address& address) {
    const broker::Slot* slot = broker_.find_at(address);
    if (slot != nullptr && slot->lease) end_returned();
}

std::vector<std::uint64_t> Leasing::adopt(
    const std::function<std::optional<std::uint64_t>(UniqueFd)>& adopt_connection) {
    std::vector<LeaseId> ids;
    std::set<LeaseId> interrupted;  // connections on which a lease was on its way
    for (const auto& [id, lease] : broker_.leases()) {
        ids.push_back(id);
        if (!lease.settled && lease.owner.connection != 0)
            interrupted.insert(lease.owner.connection);
    }
    for (const LeaseId id : ids) {
        const Lease& lease = *broker_.find_lease(id);
        if (!lease.settled)
            owner_gone(id, "it had not been handed over when vfbrokerd ended");
        else if (lease.owner.kind == OwnerKind::process)
            adopt_process(lease);
        else if (lease.owner.kind == OwnerKind::connection)
            adopt_connection_of(lease, adopt_connection);
    }
    std::vector<std::uint64_t> waiting;
    for (const auto& [session, connection] : connections_)
        if (interrupted.contains(connection)) waiting.push_back(session);
    return waiting;
}

void Leasing::adopt_process(const Lease& lease) {
    const LeaseId id = lease.id;
    auto pidfd = open_pidfd(root_.proc(), lease.owner.process);
    if (!pidfd || !watch_process(id, std::move(*pidfd)))
        owner_gone(id, "its process ended while vfbrokerd was not running");
}

void Leasing::adopt_connection_of(
    const Lease& lease,
    const std::function<std::optional<std::uint64_t>(UniqueFd)>& adopt_connection) {
    const LeaseId connection = lease.owner.connection;
    const auto known =
        std::ranges::find(connections_, connection, [](const auto& entry) { return entry.second; });
    std::optional<std::uint64_t> session;
    if (known != connections_.end())
        session = known->first;
    else if (UniqueFd fd = fd_store_.take(FdStore::connection_name(connection)))
        session = adopt_connection(std::move(fd));
    if (!session) return owner_gone(lease.id, "its connection did not outlive the last vfbrokerd");
    connections_[*session] = connection;
    watches_[lease.id].session = session;
}

}  // namespace vfb::daemon
