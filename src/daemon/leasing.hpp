// SPDX-License-Identifier: GPL-2.0-or-later
//
// Leasing: a lease from the request to its end. Chooses (broker), writes what differs (worker),
// opens descriptors or lends nodes, raises the owner's memory-lock limit, watches the owner, and
// when the owner is gone takes everything back and has it scrubbed.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>

#include "broker/broker.hpp"
#include "closer.hpp"
#include "fd_store.hpp"
#include "hardware.hpp"

namespace vfb::daemon {

// What the owner gets.
struct Granted {
    broker::LeaseId id = 0;
    std::vector<UniqueFd> descriptors;
    // Indexes into `descriptors`.
    std::optional<std::size_t> context;               // iommufd or container
    std::vector<std::size_t> groups;                  // group backend
    std::vector<std::optional<std::size_t>> devices;  // per function: cdev or device
    std::vector<std::string> nodes;    // per function: lent node, relative to /dev, or ""
    std::vector<std::string> netdevs;  // per function, with HandOff::netdev; else empty
};

class Leasing {
public:
    Leasing(EventLoop& loop, const SysRoot& root, World& world, broker::Broker& broker,
            Hardware& hardware, FdStore& fd_store)
        : loop_(loop),
          root_(root),
          world_(world),
          broker_(broker),
          hardware_(hardware),
          fd_store_(fd_store),
          closer_(loop) {}

    using Reply = std::function<void(Result<Granted>)>;
    // `session` identifies the connection, for OwnerKind::connection. `wait`: how long to wait for
    // functions to become free. `reply` is called exactly once, unless cancel() comes first.
    void lease(std::uint64_t session, int connection_fd, const broker::LeaseRequest& request,
               const broker::Caller& caller, std::chrono::seconds wait, Reply reply);
    // The connection is closed: ends its leases and forgets its requests.
    void connection_closed(std::uint64_t session);
    // A function of a lease that has ended, and the processes that have it open still.
    struct HeldFunction {
        pci::Address function;
        std::vector<std::string> holders;  // `pid 812 (qemu)`
    };
    // Absent: it could not be found out.
    using Held = std::optional<std::vector<HeldFunction>>;
    using Released = std::function<void(Result<Held>)>;
    // Ends a lease on request; `done` when that is so or cannot be.
    void release(broker::LeaseId id, std::optional<std::uint64_t> generation,
                 const broker::Caller& caller, Released done);
    // From now on it is that process's (absent: the one that uses it), and ends with it. Whether
    // the caller may name that process has been seen to.
    Result<> transfer(broker::LeaseId id, const std::optional<ProcessId>& to,
                      const broker::Caller& caller);
    // Gives a lease of that connection to its guest; `done` when that is so or cannot be.
    void keep(broker::LeaseId id, std::uint64_t session, std::function<void(Result<>)> done);
    // Ends the leases of guests whose network interfaces are the host's again: their network
    // namespaces have ended. After a change of the world.
    void end_returned();
    void end_returned(const pci::Address& address);
    // After a restart: watches the owners that live, ends the leases of those that do not.
    // `adopt_connection` makes a session of a stored connection and returns its number. Returned
    // are the sessions that wait for a lease which the last daemon was about to hand over.
    std::vector<std::uint64_t> adopt(
        const std::function<std::optional<std::uint64_t>(UniqueFd)>& adopt_connection);
    // A lease has ended, in the way that `how` says, and its functions are on their way back.
    using OnEnd = std::function<void(const broker::Lease& lease, const std::string& how)>;
    void on_end(OnEnd callback) { on_end_ = std::move(callback); }
    // A slot changed: somebody may be waiting for it.
    void serve_waiting();
    // This daemon ends: who waits for a lease is told so, as their connections may outlive it.
    void refuse_waiting();

private:
    struct Waiting {
        std::uint64_t session = 0;
        int connection_fd = -1;
        broker::LeaseRequest request;
        broker::Caller caller;
        Reply reply;
        Source deadline;
    };
    // A lease on its way to its owner.
    struct Granting {
        std::uint64_t session = 0;
        int connection_fd = -1;
        broker::Choice choice;
        broker::Caller caller;
        Reply reply;
        broker::LeaseId id = 0;
        std::size_t outstanding = 0;
        std::optional<Error> error;
        std::vector<nic::VfAttributes> attributes;
        Granted granted;
        bool cancelled = false;
    };
    using GrantingPtr = std::shared_ptr<Granting>;
    struct Releasing;
    using ReleasingPtr = std::shared_ptr<Releasing>;
    struct Watch {
        UniqueFd pidfd;
        Source source;
        std::optional<std::uint64_t> session;
    };

    // Starts granting if it can be had now; false with the reason if not.
    Result<> try_grant(Waiting& waiting);
    void write_attributes(const GrantingPtr& granting);
    // Of the lease's functions at these positions, which are all of one PF.
    void write_attributes(const GrantingPtr& granting, const std::string& pf,
                          const pci::Address& address, const std::vector<std::size_t>& positions);
    void attributes_written(const GrantingPtr& granting);
    void open_descriptors(const GrantingPtr& granting);
    Result<> open_iommufd(Granting& granting);
    void open_groups(const GrantingPtr& granting);
    void lend_netdevs(const GrantingPtr& granting);
    void netdev_lent(const GrantingPtr& granting, std::size_t position, Result<WorkerReply> reply);
    // Whether one of the lease's network interfaces is in the namespace of the host.
    [[nodiscard]] bool has_netdev(const broker::Lease& lease) const;
    Result<> keep_now(broker::LeaseId id, std::uint64_t session);
    Result<std::vector<broker::LentNode>> lend_nodes(Granting& granting);
    void hand_over(const GrantingPtr& granting, Result<std::vector<broker::LentNode>> nodes);
    Result<> raise_memory_lock(const Granting& granting) const;
    void abort(const GrantingPtr& granting, Error error);
    void find_holders(const ReleasingPtr& releasing, const std::string& pf,
                      const std::vector<pci::Address>& addresses);
    void end(const ReleasingPtr& releasing);
    void end_releasing();
    // One that has been handed over and that the caller may touch.
    Result<const broker::Lease*> find_settled(broker::LeaseId id, const broker::Caller& caller,
                                              const std::string& operation) const;
    Result<> watch_owner(broker::LeaseId id, std::uint64_t session, int connection_fd);
    Result<> watch_process(broker::LeaseId id, UniqueFd pidfd);
    void owner_gone(broker::LeaseId id, const std::string& how);
    // Ends one whose owner has gone, and when the store cannot be written tries again until it is.
    void end_at_last(broker::LeaseId id, const std::string& how);
    // `caller`: who asked for that, if somebody did.
    Result<> end(broker::LeaseId id, std::optional<std::uint64_t> generation,
                 const std::string& how, const broker::Caller* caller = nullptr);
    void take_back(const broker::Lease& lease, const std::string& how);
    void take_back_nodes(const broker::Lease& lease);
    void adopt_process(const broker::Lease& lease);
    void adopt_connection_of(
        const broker::Lease& lease,
        const std::function<std::optional<std::uint64_t>(UniqueFd)>& adopt_connection);
    // The connection of a lease that is not its owner any more.
    void forget_connection(broker::LeaseId connection);

    EventLoop& loop_;
    const SysRoot& root_;
    World& world_;
    broker::Broker& broker_;
    Hardware& hardware_;
    FdStore& fd_store_;
    std::list<Waiting> waiting_;
    std::list<GrantingPtr> granting_;
    std::list<ReleasingPtr> releasing_;
    std::map<broker::LeaseId, Watch> watches_;
    // By session: what its leases have as Owner::connection, while it has some.
    std::map<std::uint64_t, broker::LeaseId> connections_;
    std::map<broker::LeaseId, Source> unended_;  // to be ended as soon as the store can be written
    Closer closer_;
    OnEnd on_end_;
};

}  // namespace vfb::daemon
