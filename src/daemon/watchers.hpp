// SPDX-License-Identifier: GPL-2.0-or-later
//
// Watchers: the callers of Watch, who are told that something has changed, not what.
#pragma once

#include <cstdint>
#include <list>

#include "event_loop.hpp"
#include "server.hpp"

namespace vfb::daemon {

class Watchers {
public:
    explicit Watchers(EventLoop& loop) : loop_(loop) {}

    // Tells the caller at once, and whenever changed() is called, until its connection is closed.
    void add(const Request& request);
    // Many changes at a time are told once.
    void changed();
    void connection_closed(std::uint64_t session);

private:
    EventLoop& loop_;
    std::list<Request> watching_;
    Source later_;
};

}  // namespace vfb::daemon
