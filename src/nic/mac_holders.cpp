// SPDX-License-Identifier: GPL-2.0-or-later
#include "nic/mac_holders.hpp"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <cstring>

#include "dump.hpp"
#include "link_query.hpp"
#include "namespaces.hpp"

namespace vfb::nic {
namespace {

struct Netdev {
    int ifindex = 0;
    std::string name;
    MacAddress mac;
    bool hardware = false;  // may have VFs
};

void add_netdev(nlmsghdr* message, std::vector<Netdev>& netdevs) {
    if (message->nlmsg_type != RTM_NEWLINK || !nlmsg_valid_hdr(message, sizeof(ifinfomsg))) return;
    const auto find = [&](int type) { return nlmsg_find_attr(message, sizeof(ifinfomsg), type); };
    const auto* const address = find(IFLA_ADDRESS);
    const auto* const name = find(IFLA_IFNAME);
    Netdev netdev;
    if (address == nullptr || name == nullptr ||
        nla_len(address) != static_cast<int>(netdev.mac.bytes.size()))
        return;
    netdev.ifindex = static_cast<const ifinfomsg*>(nlmsg_data(message))->ifi_index;
    netdev.name = static_cast<const char*>(nla_data(name));
    std::memcpy(netdev.mac.bytes.data(), nla_data(address), netdev.mac.bytes.size());
    netdev.hardware = find(IFLA_LINKINFO) == nullptr;
    netdevs.push_back(std::move(netdev));
}

Result<std::vector<Netdev>> read_netdevs() {
    std::vector<Netdev> netdevs;
    const ifinfomsg request{};
    VFB_CHECK(dump(NETLINK_ROUTE, RTM_GETLINK, bytes_of(request),
                   [&](nlmsghdr* message) { add_netdev(message, netdevs); }));
    return netdevs;
}

// A netdev that vanishes meanwhile has no VFs any more.
Result<> add_vfs(NetlinkSocket& socket, const Netdev& netdev, const MacAddress& mac, int ifindex,
                 unsigned index, std::vector<std::string>& holders) {
    const auto link = read_link(socket, netdev.ifindex);
    if (!link && link.error().code == Code::lost) return {};
    if (!link) return std::unexpected(link.error());
    for (std::size_t place = 0; place < link->vfs.size(); ++place) {
        const auto vf = static_cast<unsigned>(
            link->vfs.size() == link->vf_count ? place : link->vfs[place].index.value_or(0));
        const bool itself = netdev.ifindex == ifindex && vf == index;
        if (!itself && link->vf(place).mac == mac) holders.push_back(vf_name(*link, vf));
    }
    return {};
}

}  // namespace

Result<std::vector<std::string>> mac_holders(const SysRoot& root, const MacAddress& mac,
                                             int ifindex, unsigned index) {
    std::vector<std::string> holders;
    VFB_TRY(const auto ours, read_netdevs());
    VFB_TRY(auto socket, NetlinkSocket::open(NETLINK_ROUTE));
    for (const auto& netdev : ours) {
        if (netdev.mac == mac) holders.push_back(netdev.name);
        if (netdev.hardware) VFB_CHECK(add_vfs(socket, netdev, mac, ifindex, index, holders));
    }
    VFB_CHECK(in_other_namespaces(root, [&](const std::string& where, int) -> Result<> {
        VFB_TRY(const auto theirs, read_netdevs());
        for (const auto& netdev : theirs)
            if (netdev.mac == mac)
                holders.push_back(netdev.name + " in the network namespace " + where);
        return {};
    }));
    return holders;
}

}  // namespace vfb::nic
