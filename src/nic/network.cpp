// SPDX-License-Identifier: GPL-2.0-or-later
#include "nic/network.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <array>
#include <cstring>
#include <string_view>

#include "bound_sockets.hpp"
#include "dump.hpp"

namespace vfb::nic {
namespace {

nlattr* nested(nlattr* list, int type) {
    if (list == nullptr) return nullptr;
    return nla_find(static_cast<nlattr*>(nla_data(list)), nla_len(list), type);
}

std::string text_of(nlattr* attribute) {
    if (attribute == nullptr) return {};
    const auto* const chars = static_cast<const char*>(nla_data(attribute));
    return {chars, ::strnlen(chars, static_cast<std::size_t>(nla_len(attribute)))};
}

// The fixed header of a message, and the attributes behind it.
template <class Header, std::size_t Max>
struct Parsed {
    Header header{};
    std::array<nlattr*, Max + 1> attributes{};
    bool ok = false;

    explicit Parsed(nlmsghdr* message) {
        if (!nlmsg_valid_hdr(message, sizeof(Header))) return;
        std::memcpy(&header, nlmsg_data(message), sizeof(Header));
        ok = nlmsg_parse(message, sizeof(Header), attributes.data(), Max, nullptr) >= 0;
    }
    [[nodiscard]] nlattr* operator[](int type) const {
        return attributes[static_cast<std::size_t>(type)];
    }
    [[nodiscard]] int number(int type) const {
        return (*this)[type] == nullptr ? 0 : static_cast<int>(nla_get_u32((*this)[type]));
    }
    [[nodiscard]] std::string text(int type) const { return text_of((*this)[type]); }
};

std::string address_text(int family, nlattr* attribute) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int wanted = family == AF_INET ? 4 : 16;
    if (attribute == nullptr || nla_len(attribute) < wanted ||
        ::inet_ntop(family, nla_data(attribute), text.data(), text.size()) == nullptr)
        return {};
    return text.data();
}

void add_link(nlmsghdr* message, std::vector<HostLink>& links) {
    const Parsed<ifinfomsg, IFLA_MAX> parsed(message);
    if (!parsed.ok || message->nlmsg_type != RTM_NEWLINK) return;
    HostLink link;
    link.ifindex = parsed.header.ifi_index;
    link.up = (parsed.header.ifi_flags & IFF_UP) != 0;
    link.name = parsed.text(IFLA_IFNAME);
    link.kind = text_of(nested(parsed[IFLA_LINKINFO], IFLA_INFO_KIND));
    link.master = parsed.number(IFLA_MASTER);
    link.lower = parsed.number(IFLA_LINK);
    if (parsed[IFLA_LINK_NETNSID] != nullptr)
        link.lower_namespace = parsed.number(IFLA_LINK_NETNSID);
    if (parsed.text(IFLA_PARENT_DEV_BUS_NAME) == "pci")
        link.pci_address = parsed.text(IFLA_PARENT_DEV_NAME);
    if (nlattr* const attached = nested(parsed[IFLA_XDP], IFLA_XDP_ATTACHED))
        link.xdp = nla_get_u8(attached) != XDP_ATTACHED_NONE;
    links.push_back(std::move(link));
}

// What userspace makes out of router advertisements (NetworkManager, systemd-networkd) has
// IFA_F_NOPREFIXROUTE; what the kernel makes manages temporary addresses, or is one.
bool is_automatic(const ifaddrmsg& header, unsigned flags) {
    if (header.ifa_family != AF_INET6) return false;
    if (header.ifa_scope == RT_SCOPE_LINK) return true;
    return (flags & (IFA_F_PERMANENT | IFA_F_NOPREFIXROUTE)) == 0 &&
           (flags & (IFA_F_MANAGETEMPADDR | IFA_F_TEMPORARY)) != 0;
}

void add_address(nlmsghdr* message, std::vector<HostAddress>& addresses) {
    const Parsed<ifaddrmsg, IFA_MAX> parsed(message);
    if (!parsed.ok || message->nlmsg_type != RTM_NEWADDR) return;
    const int family = parsed.header.ifa_family;
    // On point-to-point links IFA_ADDRESS is the other end.
    nlattr* const own = parsed[IFA_LOCAL] != nullptr ? parsed[IFA_LOCAL] : parsed[IFA_ADDRESS];
    const unsigned flags = parsed[IFA_FLAGS] != nullptr
                               ? static_cast<unsigned>(parsed.number(IFA_FLAGS))
                               : parsed.header.ifa_flags;
    addresses.push_back(
        {.ifindex = static_cast<int>(parsed.header.ifa_index),
         .text = fmt::format("{}/{}", address_text(family, own), parsed.header.ifa_prefixlen),
         .automatic = is_automatic(parsed.header, flags)});
}

std::vector<int> next_hops(const Parsed<rtmsg, RTA_MAX>& parsed) {
    std::vector<int> ifindexes;
    if (parsed[RTA_OIF] != nullptr) ifindexes.push_back(parsed.number(RTA_OIF));
    nlattr* const list = parsed[RTA_MULTIPATH];
    if (list == nullptr) return ifindexes;
    // Not attributes: rtnexthop structures, each with its length.
    auto* hop = static_cast<rtnexthop*>(nla_data(list));
    for (int left = nla_len(list); RTNH_OK(hop, left);) {
        ifindexes.push_back(hop->rtnh_ifindex);
        left -= static_cast<int>(RTNH_ALIGN(hop->rtnh_len));
        // RTNH_NEXT, which casts as C does.
        void* const next = reinterpret_cast<std::byte*>(hop) + RTNH_ALIGN(hop->rtnh_len);
        hop = static_cast<rtnexthop*>(next);
    }
    return ifindexes;
}

void add_route(nlmsghdr* message, std::vector<HostRoute>& routes) {
    const Parsed<rtmsg, RTA_MAX> parsed(message);
    if (!parsed.ok || message->nlmsg_type != RTM_NEWROUTE) return;
    const rtmsg& header = parsed.header;
    if ((header.rtm_flags & RTM_F_CLONED) != 0) return;  // a cache entry
    HostRoute route;
    route.ifindexes = next_hops(parsed);
    if (route.ifindexes.empty()) return;  // unreachable, blackhole: of no link
    // The kernel's own: of local addresses, and on-link ones of addresses and links.
    route.automatic = header.rtm_type != RTN_UNICAST || header.rtm_protocol == RTPROT_KERNEL ||
                      header.rtm_protocol == RTPROT_RA;
    if (header.rtm_dst_len != 0)
        route.destination = fmt::format("{}/{}", address_text(header.rtm_family, parsed[RTA_DST]),
                                        header.rtm_dst_len);
    routes.push_back(std::move(route));
}

}  // namespace

Result<Network> read_network() {
    Network network;
    ifinfomsg link{};
    link.ifi_family = AF_UNSPEC;
    VFB_CHECK(dump(NETLINK_ROUTE, RTM_GETLINK, bytes_of(link),
                   [&](nlmsghdr* message) { add_link(message, network.links); }));
    const ifaddrmsg address{};
    VFB_CHECK(dump(NETLINK_ROUTE, RTM_GETADDR, bytes_of(address),
                   [&](nlmsghdr* message) { add_address(message, network.addresses); }));
    for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
        rtmsg route{};
        route.rtm_family = family;
        VFB_CHECK(dump(NETLINK_ROUTE, RTM_GETROUTE, bytes_of(route),
                       [&](nlmsghdr* message) { add_route(message, network.routes); }));
    }
    VFB_TRY(network.sockets, read_bound_sockets());
    return network;
}

Result<int> link_to(const std::string& address) {
    struct Request {
        rtmsg header{};
        nlattr attribute{};
        std::array<unsigned char, 16> address{};
    } request;
    const bool v4 = ::inet_pton(AF_INET, address.c_str(), request.address.data()) == 1;
    const bool v6 = !v4 && ::inet_pton(AF_INET6, address.c_str(), request.address.data()) == 1;
    if (!v4 && !v6)
        return fail(Code::invalid, "find the route to " + address, address, "it is no address");
    const std::size_t size = v4 ? 4 : 16;
    request.header.rtm_family = v4 ? AF_INET : AF_INET6;
    request.header.rtm_dst_len = static_cast<unsigned char>(size * 8);
    request.attribute.nla_type = RTA_DST;
    request.attribute.nla_len = static_cast<std::uint16_t>(NLA_HDRLEN + size);
    const auto bytes = bytes_of(request).first(sizeof(rtmsg) + NLA_HDRLEN + size);
    int ifindex = 0;
    auto asked = ask(NETLINK_ROUTE, RTM_GETROUTE, bytes, [&](nlmsghdr* message) {
        const Parsed<rtmsg, RTA_MAX> parsed(message);
        if (parsed.ok && message->nlmsg_type == RTM_NEWROUTE) ifindex = parsed.number(RTA_OIF);
    });
    if (!asked || ifindex == 0)
        return fail(Code::not_found, "find the route to " + address, address, "there is none");
    return ifindex;
}

}  // namespace vfb::nic
