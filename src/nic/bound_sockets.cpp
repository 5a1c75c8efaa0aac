// SPDX-License-Identifier: GPL-2.0-or-later
#include "bound_sockets.hpp"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/packet_diag.h>
#include <linux/sock_diag.h>
#include <linux/xdp_diag.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <span>

#include "dump.hpp"

namespace vfb::nic {
namespace {

// A kind that this kernel cannot list: there is no other way to find such sockets.
Result<> tolerate(Result<> dumped) {
    const bool unknown = !dumped && (dumped.error().code == Code::not_found ||
                                     dumped.error().code == Code::unsupported);
    if (unknown) return {};
    return dumped;
}

template <class Header>
const Header* header_of(nlmsghdr* message) {
    return static_cast<const Header*>(nlmsg_data(message));
}

template <class T>
const T* info_of(nlmsghdr* message, std::size_t header, int type) {
    nlattr* const attribute = nlmsg_find_attr(message, static_cast<int>(header), type);
    if (attribute == nullptr || nla_len(attribute) < static_cast<int>(sizeof(T))) return nullptr;
    return static_cast<const T*>(nla_data(attribute));
}

Result<> read_inet(unsigned char family, unsigned char protocol, const char* kind,
                   std::vector<BoundSocket>& sockets) {
    inet_diag_req_v2 request{};
    request.sdiag_family = family;
    request.sdiag_protocol = protocol;
    request.idiag_states = ~0U;
    return tolerate(
        dump(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, bytes_of(request), [&](nlmsghdr* message) {
            if (!nlmsg_valid_hdr(message, sizeof(inet_diag_msg))) return;
            const auto* const found = header_of<inet_diag_msg>(message);
            if (found->id.idiag_if != 0)
                sockets.push_back({.ifindex = static_cast<int>(found->id.idiag_if),
                                   .kind = kind,
                                   .inode = found->idiag_inode});
        }));
}

Result<> read_packet(std::vector<BoundSocket>& sockets) {
    packet_diag_req request{};
    request.sdiag_family = AF_PACKET;
    request.pdiag_show = PACKET_SHOW_INFO;
    return tolerate(
        dump(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, bytes_of(request), [&](nlmsghdr* message) {
            const auto* const info =
                info_of<packet_diag_info>(message, sizeof(packet_diag_msg), PACKET_DIAG_INFO);
            if (info != nullptr && info->pdi_index != 0)
                sockets.push_back({.ifindex = static_cast<int>(info->pdi_index),
                                   .kind = "packet",
                                   .inode = header_of<packet_diag_msg>(message)->pdiag_ino});
        }));
}

Result<> read_xdp(std::vector<BoundSocket>& sockets) {
    xdp_diag_req request{};
    request.sdiag_family = AF_XDP;
    request.xdiag_show = XDP_SHOW_INFO;
    return tolerate(
        dump(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, bytes_of(request), [&](nlmsghdr* message) {
            const auto* const info =
                info_of<xdp_diag_info>(message, sizeof(xdp_diag_msg), XDP_DIAG_INFO);
            if (info != nullptr && info->ifindex != 0)
                sockets.push_back({.ifindex = static_cast<int>(info->ifindex),
                                   .kind = "AF_XDP",
                                   .inode = header_of<xdp_diag_msg>(message)->xdiag_ino});
        }));
}

}  // namespace

Result<std::vector<BoundSocket>> read_bound_sockets() {
    std::vector<BoundSocket> sockets;
    for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
        VFB_CHECK(read_inet(family, IPPROTO_TCP, "TCP", sockets));
        VFB_CHECK(read_inet(family, IPPROTO_UDP, "UDP", sockets));
    }
    VFB_CHECK(read_packet(sockets));
    VFB_CHECK(read_xdp(sockets));
    return sockets;
}

}  // namespace vfb::nic
