// SPDX-License-Identifier: GPL-2.0-or-later
//
// NetlinkSocket: requests to the kernel, many in one send, each with its own answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "messages.hpp"

struct nl_sock;

namespace vfb::nic {

struct Answer {
    int errnum = 0;                  // 0: acknowledged
    std::string text;                // the driver's own words (NETLINK_EXT_ACK), if it gave any
    std::vector<std::byte> message;  // what was sent back before the acknowledgement, if anything
};

class NetlinkSocket {
public:
    // `protocol`: NETLINK_ROUTE or NETLINK_GENERIC.
    static Result<NetlinkSocket> open(int protocol);

    // Sends one message, whose answer may have any length. An Error means here and below that the
    // answer is unknown, not that the request was refused.
    Result<Answer> ask(Messages message);
    // Sends all messages, of which none is answered by more than an acknowledgement, in as few
    // sends as the socket takes, and returns their answers in order. The kernel works on them one
    // after another within the send: this blocks as long as drivers do.
    Result<std::vector<Answer>> transact(Messages messages);

private:
    class Acknowledgements;
    struct FreeSocket {
        void operator()(nl_sock* socket) const;
    };
    explicit NetlinkSocket(std::unique_ptr<nl_sock, FreeSocket> socket);

    [[nodiscard]] int fd() const;
    [[nodiscard]] Result<> send(std::span<const std::byte> bytes) const;
    [[nodiscard]] Result<> wait() const;
    [[nodiscard]] Result<std::vector<std::byte>> receive() const;

    std::unique_ptr<nl_sock, FreeSocket> socket_;
    std::uint32_t sequence_ = 0;
};

}  // namespace vfb::nic
