// SPDX-License-Identifier: GPL-2.0-or-later
//
// A network interface on its way into the network namespace of a guest, and there: moved, renamed,
// given addresses and routes, by rtnetlink(7). Plain calls without state. Needs CAP_NET_ADMIN in
// both namespaces, and CAP_SYS_ADMIN to enter one.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace vfb::nic {

struct GuestLink {
    int ifindex = 0;
    std::string mac;
    std::uint32_t mtu = 0;
    bool up = false;
};

// `10.0.0.2/24`, `fd00::2/64`.
struct InterfaceAddress {
    std::string text;
};

struct Route {
    std::string destination;  // `0.0.0.0/0`
    std::string gateway;      // empty: on the link
    std::optional<std::uint32_t> priority;
    std::optional<std::uint32_t> table;
    std::optional<std::uint32_t> mtu;
    std::optional<std::uint32_t> advmss;
    std::optional<std::uint8_t> scope;  // RT_SCOPE_*; absent: by whether there is a gateway
};

// Whether the descriptor is of a network namespace, and which: two of one namespace have the same
// number. Code::invalid when it is of something else.
Result<std::uint64_t> namespace_number(int fd, const std::string& path);

// Runs `work` in that namespace, in a thread of its own, which leaves no trace in the caller's.
Result<> in_namespace(int fd, const std::string& path, const std::function<Result<>()>& work);

// Moves the link into the namespace and gives it that name there, in one step: no other program
// sees it there by another name. The link is down then. Code::busy when the name is taken there;
// the link may have moved all the same.
Result<> move_link(int ifindex, int fd, const std::string& path, const std::string& name);

// What follows is done in the namespace of the calling thread.

// Code::not_found when there is none of that name.
Result<GuestLink> find_guest_link(const std::string& name);
Result<> set_guest_link_up(int ifindex, const std::string& name,
                           const std::optional<std::uint32_t>& mtu);
// Duplicates are not looked for on the wire (IPv6): who gave the address out answers for that.
Result<> add_address(int ifindex, const std::string& name, const InterfaceAddress& address);
Result<> add_route(int ifindex, const std::string& name, const Route& route);

}  // namespace vfb::nic
