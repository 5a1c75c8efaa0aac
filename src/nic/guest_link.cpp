// SPDX-License-Identifier: GPL-2.0-or-later
#include "nic/guest_link.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/nsfs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <thread>

#include "dump.hpp"
#include "messages.hpp"
#include "netlink_socket.hpp"

namespace vfb::nic {
namespace {

// An address with the length of its network.
struct Prefix {
    std::uint8_t family = AF_UNSPEC;
    std::array<std::byte, 16> bytes{};
    std::uint8_t length = 0;

    [[nodiscard]] std::size_t size() const { return family == AF_INET ? 4 : 16; }
    void put(Messages& messages, int type) const {
        if (family == AF_INET)
            messages.put(type, *reinterpret_cast<const std::array<std::byte, 4>*>(bytes.data()));
        else
            messages.put(type, bytes);
    }
};

Result<Prefix> parse_prefix(const std::string& text) {
    Prefix prefix;
    const auto slash = text.find('/');
    const std::string address = text.substr(0, slash);
    for (const int family : {AF_INET, AF_INET6})
        if (::inet_pton(family, address.c_str(), prefix.bytes.data()) == 1) {
            prefix.family = static_cast<std::uint8_t>(family);
            break;
        }
    const auto most = static_cast<unsigned>(prefix.size() * 8);
    unsigned length = most;
    bool ok = prefix.family != AF_UNSPEC;
    if (slash != std::string::npos) {
        const char* const end = text.data() + text.size();
        const auto read = std::from_chars(text.data() + slash + 1, end, length);
        ok = ok && read.ec == std::errc() && read.ptr == end && length <= most;
    }
    if (!ok)
        return fail(Code::invalid, "read an address", {},
                    fmt::format("{:?} is not one like 10.0.0.2/24 or fd00::2/64", text));
    prefix.length = static_cast<std::uint8_t>(length);
    return prefix;
}

Result<> change(Messages messages, const std::string& operation, const std::string& subject,
                const std::string& hint = {}) {
    VFB_TRY(auto socket, NetlinkSocket::open(NETLINK_ROUTE));
    VFB_TRY(const auto answer, socket.ask(std::move(messages)));
    if (answer.errnum != 0) return fail_errno(answer.errnum, operation, subject, answer.text, hint);
    return {};
}

ifinfomsg link_header(int ifindex) {
    ifinfomsg header{};
    header.ifi_family = AF_UNSPEC;
    header.ifi_index = ifindex;
    return header;
}

void read_link(nlmsghdr* message, GuestLink& link) {
    ifinfomsg header{};
    std::memcpy(&header, nlmsg_data(message), sizeof header);
    link.up = (header.ifi_flags & IFF_UP) != 0;
    if (nlattr* const mtu = nlmsg_find_attr(message, sizeof header, IFLA_MTU))
        link.mtu = nla_get_u32(mtu);
    nlattr* const address = nlmsg_find_attr(message, sizeof header, IFLA_ADDRESS);
    if (address == nullptr || nla_len(address) != 6) return;
    std::array<std::uint8_t, 6> bytes{};
    std::memcpy(bytes.data(), nla_data(address), bytes.size());
    link.mac = fmt::format("{:02x}", fmt::join(bytes, ":"));
}

}  // namespace

Result<std::uint64_t> namespace_number(int fd, const std::string& path) {
    struct stat status{};
    if (::ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET || ::fstat(fd, &status) != 0)
        return fail(Code::invalid, "use the network namespace " + path, path,
                    "it is not a network namespace, or has ended",
                    "name one as ip netns or the container runtime made it");
    return status.st_ino;
}

Result<> in_namespace(int fd, const std::string& path, const std::function<Result<>()>& work) {
    Result<> result;
    // The thread is in another namespace at its end: nobody else may get it.
    std::thread([&] {
        if (::setns(fd, CLONE_NEWNET) != 0)
            result = fail_errno(errno, "enter the network namespace " + path, path, {},
                                "it needs CAP_SYS_ADMIN");
        else
            result = work();
    }).join();
    return result;
}

Result<> move_link(int ifindex, int fd, const std::string& path, const std::string& name) {
    Messages messages;
    messages.begin(RTM_SETLINK, link_header(ifindex));
    messages.put(IFLA_NET_NS_FD, fd);
    messages.put_text(IFLA_IFNAME, name);
    auto moved = change(std::move(messages), "move a network interface into " + path, path,
                        "dmesg shows what the driver said");
    if (moved || moved.error().errnum != EEXIST) return moved;
    return fail(Code::busy, moved.error().operation, path,
                fmt::format("there is one named {} already", name), "ask for another name");
}

Result<GuestLink> find_guest_link(const std::string& name) {
    GuestLink link;
    link.ifindex = static_cast<int>(::if_nametoindex(name.c_str()));
    if (link.ifindex == 0)
        return fail(Code::not_found, "find the network interface " + name, name,
                    "the container's network namespace has none of that name",
                    "end this attachment (DEL) and begin it again (ADD)");
    VFB_CHECK(ask(NETLINK_ROUTE, RTM_GETLINK, bytes_of(link_header(link.ifindex)),
                  [&](nlmsghdr* message) { read_link(message, link); }));
    return link;
}

Result<> set_guest_link_up(int ifindex, const std::string& name,
                           const std::optional<std::uint32_t>& mtu) {
    ifinfomsg header = link_header(ifindex);
    header.ifi_flags = IFF_UP;
    header.ifi_change = IFF_UP;
    Messages messages;
    messages.begin(RTM_SETLINK, header);
    if (mtu) messages.put(IFLA_MTU, *mtu);
    return change(std::move(messages),
                  mtu ? fmt::format("set {} up with an MTU of {}", name, *mtu)
                      : fmt::format("set {} up", name),
                  name,
                  mtu ? "the MTU of the physical function bounds it: mtu in vfbroker.toml(5)"
                      : "dmesg shows what the driver said");
}

Result<> add_address(int ifindex, const std::string& name, const InterfaceAddress& address) {
    VFB_TRY(const auto prefix, parse_prefix(address.text));
    ifaddrmsg header{};
    header.ifa_family = prefix.family;
    header.ifa_prefixlen = prefix.length;
    header.ifa_flags = prefix.family == AF_INET6 ? IFA_F_NODAD : 0;
    header.ifa_index = static_cast<unsigned>(ifindex);
    Messages messages;
    messages.begin(RTM_NEWADDR, header, NLM_F_CREATE | NLM_F_EXCL);
    prefix.put(messages, IFA_LOCAL);
    prefix.put(messages, IFA_ADDRESS);
    return change(std::move(messages), fmt::format("give {} the address {}", name, address.text),
                  name);
}

Result<> add_route(int ifindex, const std::string& name, const Route& route) {
    VFB_TRY(const auto destination, parse_prefix(route.destination));
    rtmsg header{};
    header.rtm_family = destination.family;
    header.rtm_dst_len = destination.length;
    header.rtm_table = RT_TABLE_MAIN;
    header.rtm_protocol = RTPROT_STATIC;
    header.rtm_scope =
        route.scope.value_or(route.gateway.empty() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
    header.rtm_type = RTN_UNICAST;
    Messages messages;
    messages.begin(RTM_NEWROUTE, header, NLM_F_CREATE | NLM_F_EXCL);
    if (destination.length > 0) destination.put(messages, RTA_DST);
    if (!route.gateway.empty()) {
        VFB_TRY(const auto gateway, parse_prefix(route.gateway));
        gateway.put(messages, RTA_GATEWAY);
    }
    messages.put(RTA_OIF, ifindex);
    if (route.priority) messages.put(RTA_PRIORITY, *route.priority);
    if (route.table) messages.put(RTA_TABLE, *route.table);
    if (route.mtu || route.advmss) {
        const auto metrics = messages.open(RTA_METRICS);
        if (route.mtu) messages.put(RTAX_MTU, *route.mtu);
        if (route.advmss) messages.put(RTAX_ADVMSS, *route.advmss);
        messages.close(metrics);
    }
    return change(
        std::move(messages),
        fmt::format("add a route to {} over {}{}", route.destination, name,
                    route.gateway.empty() ? "" : " by " + route.gateway),
        name,
        "is the gateway in the network of one of the addresses, and the route not there yet?");
}

}  // namespace vfb::nic
