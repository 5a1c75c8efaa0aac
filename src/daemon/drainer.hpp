// SPDX-License-Identifier: GPL-2.0-or-later
//
// Drainer: takes a PF or a pool out of use, and tells when the last lease of it has ended.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <vector>

#include "broker/broker.hpp"
#include "event_loop.hpp"

namespace vfb::daemon {

class Drainer {
public:
    Drainer(EventLoop& loop, broker::Broker& broker) : loop_(loop), broker_(broker) {}

    // The leases that are left; none when it waited with success.
    using Reply = std::function<void(Result<std::vector<broker::LeaseId>>)>;
    // No new leases from now on. With `wait`, `reply` comes when no function of it is leased or on
    // its way back, or, after that long, with Code::timeout and the names of those that hold some.
    // It stays drained in any case.
    void drain(const broker::DrainTarget& target, std::chrono::seconds wait, Reply reply);
    // A slot or a lease changed.
    void check();

private:
    struct Waiting {
        broker::DrainTarget target;
        Reply reply;
        Source deadline;
    };
    [[nodiscard]] bool is_drained(const broker::DrainTarget& target) const;
    [[nodiscard]] Error too_late(const Waiting& waiting, std::chrono::seconds wait) const;

    EventLoop& loop_;
    broker::Broker& broker_;
    std::list<Waiting> waiting_;
};

}  // namespace vfb::daemon
