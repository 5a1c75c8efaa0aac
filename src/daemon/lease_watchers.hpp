// SPDX-License-Identifier: GPL-2.0-or-later
//
// LeaseWatchers: the callers of WatchLeases, who are told how their leases stand: what of them was
// lost, whether they are asked to be returned, how they ended.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/broker.hpp"
#include "event_loop.hpp"
#include "server.hpp"

namespace vfb::daemon {

class LeaseWatchers {
public:
    LeaseWatchers(EventLoop& loop, const broker::Broker& broker) : loop_(loop), broker_(broker) {}

    struct Watched {
        broker::LeaseId id = 0;
        std::uint64_t generation = 0;      // of its first function
        std::optional<std::string> ended;  // how
    };
    // Tells the caller at once, and after each change, until all of them have ended or its
    // connection is closed. A lease that the caller may not see is one that has ended.
    void add(const Request& request, std::vector<Watched> leases);
    // Something changed that may concern leases. Many changes at a time are told once.
    void changed();
    // The kernel is removing or unbinding a function under a lease, and waits for its holder.
    void leaving(const pci::Address& address);
    void ended(const broker::Lease& lease, const std::string& how);
    void connection_closed(std::uint64_t session);

private:
    struct Watching {
        Request request;
        std::vector<Watched> leases;
        proto::Json told;
    };
    // True when there is nothing more to tell.
    bool tell(Watching& watching) const;
    [[nodiscard]] proto::Json state(const Watched& watched) const;
    // Why the lease is asked to be returned; nullopt while it is not.
    [[nodiscard]] std::optional<std::string> return_reason(const broker::Lease& lease) const;

    EventLoop& loop_;
    const broker::Broker& broker_;
    std::list<Watching> watching_;
    std::set<pci::Address> leaving_;
    Source later_;
};

}  // namespace vfb::daemon
