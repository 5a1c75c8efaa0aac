// SPDX-License-Identifier: GPL-2.0-or-later
//
// Gate: holds calls until the first inventory of the machine is there, which a daemon that was
// started by the first call has yet to read.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <optional>

#include "base/result.hpp"
#include "event_loop.hpp"

namespace vfb::daemon {

class Gate {
public:
    explicit Gate(EventLoop& loop) : loop_(loop) {}

    [[nodiscard]] bool is_open() const { return open_; }
    // `then` when it opens, or with the reason when the inventory could not be read or takes too
    // long; at once if that is known. Not at all when the session ends before.
    using Then = std::function<void(const Result<>&)>;
    void pass(std::uint64_t session, Then then);
    // What came of the inventory. A later success opens it after a failure.
    void decide(const Result<>& inventory);
    void connection_closed(std::uint64_t session);

private:
    struct Waiting {
        std::uint64_t session;
        Then then;
        Source deadline;
    };

    EventLoop& loop_;
    bool open_ = false;
    std::optional<Error> failure_;
    std::list<Waiting> waiting_;
};

}  // namespace vfb::daemon
