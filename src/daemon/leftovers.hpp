// SPDX-License-Identifier: GPL-2.0-or-later
//
// Leftovers: what a reload did not do, told when all that it began is at rest.
#pragma once

#include <functional>
#include <list>
#include <optional>

#include "applier.hpp"
#include "event_loop.hpp"

namespace vfb::daemon {

class Leftovers {
public:
    struct Parts {
        EventLoop& loop;
        Applier& applier;
        std::function<bool()> at_rest;
    };
    explicit Leftovers(Parts parts) : parts_(std::move(parts)) {}

    // nullopt: not everything came to rest in time, or nothing can be said.
    using Done = std::function<void(std::optional<broker::Plan>)>;
    void ask(Done done);
    // Something came to rest.
    void check();

private:
    struct Waiting {
        Done done;
        Source deadline;
    };
    void tell(Done done);

    Parts parts_;
    std::list<Waiting> waiting_;
};

}  // namespace vfb::daemon
