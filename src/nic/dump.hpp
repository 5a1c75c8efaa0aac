// SPDX-License-Identifier: GPL-2.0-or-later
//
// dump(): all objects of a kind, by libnl: the kernel's answer to NLM_F_DUMP in any number of
// parts.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "base/result.hpp"

struct nlmsghdr;
struct nl_sock;

namespace vfb::nic {

// What follows the message's header, from the kernel's structure of it.
template <class Request>
std::span<const std::byte> bytes_of(const Request& request) {
    return std::as_bytes(std::span(&request, 1));
}

// `protocol` is NETLINK_ROUTE, NETLINK_SOCK_DIAG or NETLINK_RDMA; `request` what follows the
// message's header. An answer during which something changed is asked for again. Code::unsupported
// when the kernel does not know what is asked for, Code::invalid when it says EINVAL.
Result<> dump(int protocol, int type, std::span<const std::byte> request,
              const std::function<void(nlmsghdr*)>& each);

// One object, by a request without NLM_F_DUMP. Code::not_found when there is none.
Result<> ask(int protocol, int type, std::span<const std::byte> request,
             const std::function<void(nlmsghdr*)>& answer);

}  // namespace vfb::nic
