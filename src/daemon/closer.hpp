// SPDX-License-Identifier: GPL-2.0-or-later
//
// Closer: closes descriptors of VFIO away from the event loop. The last close of a device resets
// it, which takes 100 ms, and a minute when the device is gone.
#pragma once

#include <functional>
#include <list>
#include <vector>

#include "base/unique_fd.hpp"
#include "event_loop.hpp"

namespace vfb::daemon {

class Closer {
public:
    explicit Closer(EventLoop& loop) : loop_(loop) {}

    // `done`, which may be empty, is called from the loop when all of them are closed.
    void close(std::vector<UniqueFd> descriptors, const std::function<void()>& done);

private:
    struct Closing {
        UniqueFd end;  // hangs up when the thread has closed them
        Source source;
    };

    EventLoop& loop_;
    std::list<Closing> closing_;
};

}  // namespace vfb::daemon
