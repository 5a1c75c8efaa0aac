// SPDX-License-Identifier: GPL-2.0-or-later
//
// NetlinkSocket: requests to the kernel's rtnetlink, many in one send, each with its own answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "link_message.hpp"

struct nl_sock;

namespace vfb::nic {

struct Answer {
    int errnum = 0;                  // 0: acknowledged
    std::string text;                // the driver's own words (NETLINK_EXT_ACK), if it gave any
    std::vector<std::byte> message;  // what was sent back before the acknowledgement, if anything
};

class NetlinkSocket {
public:
    static Result<NetlinkSocket> open();

    // Sends all messages (each with NLM_F_ACK) at once and returns their answers in order. The
    // kernel works on them one after another within the send: this blocks as long as drivers do.
    // An Error means that the answers are unknown, not that a request was refused.
    Result<std::vector<Answer>> transact(const std::vector<Message>& messages);

private:
    struct FreeSocket {
        void operator()(nl_sock* socket) const;
    };
    explicit NetlinkSocket(std::unique_ptr<nl_sock, FreeSocket> socket);

    Result<> send(const std::vector<Message>& messages, std::uint32_t first_sequence);
    Result<std::vector<std::byte>> receive();

    std::unique_ptr<nl_sock, FreeSocket> socket_;
    std::uint32_t sequence_ = 0;
};

}  // namespace vfb::nic
