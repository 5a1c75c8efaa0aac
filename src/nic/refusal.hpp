// SPDX-License-Identifier: GPL-2.0-or-later
//
// Why a driver refused to set attributes: from errno, attribute and the PF's state to words.
#pragma once

#include <array>
#include <span>

#include "link_message.hpp"
#include "netlink_socket.hpp"

namespace vfb::nic {

// The attributes of one message: a VLAN has three, nothing more. Held in place, as there are many
// when all VFs of a PF are written.
class Rows {
public:
    Rows() = default;
    explicit Rows(const Attribute* only) { push_back(only); }
    void push_back(const Attribute* attribute) { rows_.at(count_++) = attribute; }
    [[nodiscard]] const Attribute* front() const { return rows_.front(); }
    [[nodiscard]] const Attribute* const* begin() const { return rows_.data(); }
    [[nodiscard]] const Attribute* const* end() const { return rows_.data() + count_; }

private:
    std::array<const Attribute*, 3> rows_{};
    std::size_t count_ = 0;
};

// Attributes that go to the kernel in one message, and what it said.
struct Change {
    Encoder encode = nullptr;
    Rows attributes;  // those that differ
    Answer answer;

    // The driver has no such attribute (or not this kind of it).
    [[nodiscard]] bool unsupported() const;
    [[nodiscard]] std::vector<std::string> names() const;
};

// Completes "cannot ...": `set vlan=100 qos=3 on VF 3 of enp1s0`.
std::string set_operation(std::span<const Attribute* const> attributes, const Link& link,
                          unsigned index, const VfAttributes& all);
Error refusal(const Change& change, const Link& link, unsigned index, const VfAttributes& all);

}  // namespace vfb::nic
