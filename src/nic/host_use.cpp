// SPDX-License-Identifier: GPL-2.0-or-later
#include "nic/host_use.hpp"

#include <linux/if_addr.h>
#include <netlink/route/addr.h>
#include <netlink/route/rtnl.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include <memory>

namespace vfb::nic {
namespace {

using Socket = std::unique_ptr<nl_sock, decltype(&nl_socket_free)>;
using Cache = std::unique_ptr<nl_cache, decltype(&nl_cache_free)>;

std::unexpected<Error> unreadable(int error) {
    return fail(Code::failed, "read the addresses of the host", {}, nl_geterror(error));
}

// What userspace makes out of router advertisements (NetworkManager, systemd-networkd) has
// IFA_F_NOPREFIXROUTE; what the kernel makes manages temporary addresses, or is one.
bool is_of_the_kernel(rtnl_addr* address) {
    if (rtnl_addr_get_family(address) != AF_INET6) return false;
    if (rtnl_addr_get_scope(address) == RT_SCOPE_LINK) return true;
    const unsigned flags = rtnl_addr_get_flags(address);
    return (flags & (IFA_F_PERMANENT | IFA_F_NOPREFIXROUTE)) == 0 &&
           (flags & (IFA_F_MANAGETEMPADDR | IFA_F_TEMPORARY)) != 0;
}

}  // namespace

Result<bool> has_addresses(int ifindex) {
    const Socket socket(nl_socket_alloc(), &nl_socket_free);
    if (!socket) return unreadable(-NLE_NOMEM);
    if (const int error = nl_connect(socket.get(), NETLINK_ROUTE); error < 0)
        return unreadable(error);
    nl_cache* raw = nullptr;
    if (const int error = rtnl_addr_alloc_cache(socket.get(), &raw); error < 0)
        return unreadable(error);
    const Cache cache(raw, &nl_cache_free);
    for (nl_object* object = nl_cache_get_first(raw); object != nullptr;
         object = nl_cache_get_next(object)) {
        auto* const address = reinterpret_cast<rtnl_addr*>(object);
        if (rtnl_addr_get_ifindex(address) == ifindex && !is_of_the_kernel(address)) return true;
    }
    return false;
}

}  // namespace vfb::nic
