// SPDX-License-Identifier: GPL-2.0-or-later
//
// LinkMonitor: tells which NICs were changed, by whomever (rtnetlink(7), RTM_NEWLINK). The kernel
// tells of a change to a VF as of one to its PF, and only while that is up; it does not say what
// changed. Does not block; one thread.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/result.hpp"

struct nl_sock;

namespace vfb::nic {

class LinkMonitor {
public:
    // From now on nothing is missed without take() saying so.
    static Result<LinkMonitor> open();
    [[nodiscard]] int fd() const;

    // The devices (as `0000:01:00.0`) whose links were changed since the last call; nullopt: some
    // changes were missed, it may be any.
    Result<std::optional<std::set<std::string>>> take();

private:
    struct FreeSocket {
        void operator()(nl_sock* socket) const;
    };
    explicit LinkMonitor(std::unique_ptr<nl_sock, FreeSocket> socket)
        : socket_(std::move(socket)) {}
    std::unique_ptr<nl_sock, FreeSocket> socket_;
};

}  // namespace vfb::nic
