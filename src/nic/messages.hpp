// SPDX-License-Identifier: GPL-2.0-or-later
//
// Messages: requests to the kernel (netlink(7)), one behind the other as they are sent. They are
// built in one piece of memory: an allocation for each would cost as much as the kernel takes to
// work on it.
#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace vfb::nic {

class Messages {
public:
    void reserve(std::size_t count, std::size_t bytes_each) {
        starts_.reserve(count);
        bytes_.reserve(count * bytes_each);
    }
    // Begins a request that is to be acknowledged; `header` is what its family puts before the
    // attributes. What is put after it belongs to it.
    template <class Header>
    void begin(std::uint16_t type, const Header& header, std::uint16_t flags = 0) {
        starts_.push_back(bytes_.size());
        const nlmsghdr netlink{
            .nlmsg_len = 0,
            .nlmsg_type = type,
            .nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags),
            .nlmsg_seq = 0,
            .nlmsg_pid = 0};
        append(&netlink, sizeof netlink);
        append(&header, sizeof header);
        finish();
    }
    template <class T>
    void put(int type, const T& value) {
        put(type, &value, sizeof value);
    }
    void put_text(int type, std::string_view text) {
        const std::size_t start = open(type);
        append(text.data(), text.size());
        bytes_.push_back({});  // the NUL
        close(start);
    }
    // An attribute that is a list of attributes: those put between the two.
    std::size_t open(int type) {
        const std::size_t start = bytes_.size();
        const nlattr header{.nla_len = 0, .nla_type = static_cast<std::uint16_t>(type)};
        append(&header, sizeof header);
        return start;
    }
    void close(std::size_t start) {
        // None that is sent comes near the 16 bits.
        const auto length = static_cast<std::uint16_t>(bytes_.size() - start);
        std::memcpy(bytes_.data() + start, &length, sizeof length);
        finish();
    }

    [[nodiscard]] std::size_t size() const { return starts_.size(); }
    // Of the message `index`, or for the number of all: where it begins.
    [[nodiscard]] std::size_t start(std::size_t index) const {
        return index < starts_.size() ? starts_[index] : bytes_.size();
    }
    [[nodiscard]] std::span<const std::byte> bytes(std::size_t first, std::size_t end) const {
        return std::span(bytes_).subspan(start(first), start(end) - start(first));
    }
    void number(std::size_t index, std::uint32_t sequence) {
        std::memcpy(bytes_.data() + starts_[index] + offsetof(nlmsghdr, nlmsg_seq), &sequence,
                    sizeof sequence);
    }

private:
    void put(int type, const void* data, std::size_t size) {
        const std::size_t start = open(type);
        append(data, size);
        close(start);
    }
    void append(const void* data, std::size_t size) {
        const auto* const raw = static_cast<const std::byte*>(data);
        bytes_.insert(bytes_.end(), raw, raw + size);
    }
    // Pads, and tells the last message how long it is.
    void finish() {
        bytes_.resize((bytes_.size() + NLMSG_ALIGNTO - 1) / NLMSG_ALIGNTO * NLMSG_ALIGNTO);
        const auto length = static_cast<std::uint32_t>(bytes_.size() - starts_.back());
        std::memcpy(bytes_.data() + starts_.back(), &length, sizeof length);
    }

    std::vector<std::byte> bytes_;
    std::vector<std::size_t> starts_;
};

}  // namespace vfb::nic
