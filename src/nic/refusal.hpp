// SPDX-License-Identifier: GPL-2.0-or-later
//
// Why a driver refused to set attributes: from errno, attribute and the PF's state to words.
#pragma once

#include "link_message.hpp"
#include "netlink_socket.hpp"

namespace vfb::nic {

// Attributes that go to the kernel in one message, and what it said.
struct Change {
    Encoder encode = nullptr;
    std::vector<const Attribute*> attributes;  // those that differ
    Answer answer;

    // The driver has no such attribute (or not this kind of it).
    [[nodiscard]] bool unsupported() const;
    [[nodiscard]] std::vector<std::string> names() const;
};

// Completes "cannot ...": `set vlan=100 qos=3 on VF 3 of enp1s0`.
std::string set_operation(const Change& change, const Link& link, unsigned index,
                          const VfAttributes& all);
Error refusal(const Change& change, const Link& link, unsigned index, const VfAttributes& all);

}  // namespace vfb::nic
