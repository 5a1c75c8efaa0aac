// SPDX-License-Identifier: GPL-2.0-or-later
#include "nic/host_use.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include "process_tree.hpp"

namespace vfb::nic {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* kPf = "0000:01:00.0";

HostLink link(int ifindex, const std::string& name, const std::string& kind = {}) {
    HostLink made;
    made.ifindex = ifindex;
    made.name = name;
    made.kind = kind;
    return made;
}

// Ours: lo and the NIC eth0, which has what the kernel gives every link.
class HostUse : public testing::Test {
protected:
    HostUse() {
        networks.resize(1);
        auto nic = link(2, "eth0");
        nic.pci_address = kPf;
        ours().links = {link(1, "lo"), nic};
        ours().addresses = {{.ifindex = 1, .text = "127.0.0.1/8", .automatic = false},
                            {.ifindex = 2, .text = "fe80::1/64", .automatic = true}};
        ours().routes = {{.ifindexes = {2}, .destination = "fe80::/64", .automatic = true}};
    }
    Network& ours() { return networks.front(); }
    Network& other(const std::string& name) {
        networks.emplace_back().name = name;
        return networks.back();
    }
    std::vector<std::string> texts(const std::set<std::string>& names = {}) const {
        std::vector<std::string> list;
        const auto root = tree.root();
        FileHolders holders(root, networks);
        for (const auto& use : uses_of(networks, holders, kPf, names, client, ssh_link))
            list.push_back(use.kind + ": " + use.text);
        return list;
    }

    ProcessTree tree;
    std::vector<Network> networks;
    std::string client;
    int ssh_link = 0;
};

TEST_F(HostUse, WhatTheKernelMakesByItselfIsNone) {
    EXPECT_THAT(texts(), IsEmpty());
    const auto root = tree.root();
    FileHolders holders(root, networks);
    EXPECT_THAT(uses_of(networks, holders, "0000:09:00.0", {}), IsEmpty()) << "it has no links";
}

TEST_F(HostUse, AddressesRoutesAndTheDefaultRouteAreNamed) {
    ours().addresses.push_back({.ifindex = 2, .text = "192.0.2.1/24", .automatic = false});
    ours().routes.push_back({.ifindexes = {2}, .destination = "192.0.2.0/24", .automatic = true});
    ours().routes.push_back({.ifindexes = {1, 2}, .destination = "10.0.0.0/8", .automatic = false});
    ours().routes.push_back({.ifindexes = {2}, .destination = "", .automatic = false});
    EXPECT_THAT(texts(), ElementsAre("address: eth0 has the address 192.0.2.1/24",
                                     "route: the route to 10.0.0.0/8 leaves by eth0",
                                     "default-route: the default route leaves by eth0"));
}

// The default route that the kernel made out of a router advertisement still is the default route.
TEST_F(HostUse, AnAutomaticDefaultRouteCounts) {
    ours().routes.push_back({.ifindexes = {2}, .destination = "", .automatic = true});
    EXPECT_THAT(texts(), ElementsAre("default-route: the default route leaves by eth0"));
}

TEST_F(HostUse, WhatStandsOnItIsFollowedToItsUse) {
    ours().links[1].master = 5;
    auto vlan = link(6, "bond0.7", "vlan");
    vlan.lower = 5;
    auto bridge = link(7, "br0", "bridge");
    vlan.master = 7;
    ours().links.insert(ours().links.end(), {link(5, "bond0", "bond"), vlan, bridge});
    ours().addresses.push_back({.ifindex = 7, .text = "192.0.2.1/24", .automatic = false});
    EXPECT_THAT(texts(), ElementsAre("member: eth0 is a member of bond0 (bond)",
                                     "upper: bond0.7 (vlan) stands on bond0",
                                     "member: bond0.7 is a member of br0 (bridge)",
                                     "address: br0 has the address 192.0.2.1/24"));
}

TEST_F(HostUse, TheSshSessionIsRecognisedThroughABridge) {
    ours().links[1].master = 7;
    ours().links.push_back(link(7, "br0", "bridge"));
    client = "198.51.100.4";
    ssh_link = 7;
    EXPECT_THAT(texts(), ElementsAre("member: eth0 is a member of br0 (bridge)",
                                     "ssh: your SSH session from 198.51.100.4 comes in by br0"));
    ssh_link = 1;
    EXPECT_THAT(texts(), ElementsAre("member: eth0 is a member of br0 (bridge)"));
}

TEST_F(HostUse, SocketsAreCounted) {
    ours().sockets = {{.ifindex = 2, .kind = "packet", .inode = 11},
                      {.ifindex = 2, .kind = "UDP", .inode = 12},
                      {.ifindex = 2, .kind = "UDP", .inode = 13},
                      {.ifindex = 2, .kind = "AF_XDP", .inode = 14},
                      {.ifindex = 1, .kind = "TCP", .inode = 15}};
    ours().links[1].xdp = true;
    tree.add(700, "dhclient", 3, "socket:[11]");
    tree.add(701, "named", 3, "socket:[12]");
    tree.add(702, "named", 3, "socket:[12]");
    tree.link("proc/701/fd/4", "socket:[14]");
    EXPECT_THAT(
        texts(),
        ElementsAre("xdp: eth0 runs an XDP program",
                    "xdp: 1 AF_XDP socket is bound to eth0, held by pid 701 (named)",
                    "socket: 2 UDP sockets are bound to eth0, held by pid 701 (named), pid "
                    "702 (named), no process that can be seen here (the kernel, or another "
                    "PID namespace)",
                    "socket: 1 packet socket is bound to eth0, held by pid 700 (dhclient)"));
}

TEST_F(HostUse, UsersOfItsRdmaDeviceAreNamed) {
    RdmaDevice rdma;
    rdma.name = "mlx5_0";
    rdma.pci_address = kPf;
    rdma.users = {{.pid = 812, .kernel_name = {}, .objects = {{"QP", 2}, {"PD", 1}}},
                  {.pid = 0, .kernel_name = {}, .objects = {{"MR", 1}}},
                  {.pid = 0, .kernel_name = "nvme_rdma", .objects = {{"QP", 8}}}};
    rdma.nodes = {makedev(1, 3)};
    RdmaDevice other = rdma;
    other.pci_address = "0000:09:00.0";
    ours().rdma = {rdma, other};
    ours().links.pop_back();  // its interface may be in another namespace
    tree.link("dev/infiniband/uverbs0", "/dev/null");
    tree.add(812, "pingpong", 3, tree.dev("infiniband/uverbs0"));
    tree.add(813, "idle", 3, tree.dev("infiniband/uverbs0"));
    EXPECT_THAT(texts(), ElementsAre("rdma: pid 812 (pingpong) uses its RDMA device mlx5_0: 1 PD, "
                                     "2 QPs",
                                     "rdma: a process that cannot be seen here uses its RDMA "
                                     "device mlx5_0: 1 MR",
                                     "rdma: nvme_rdma of the kernel uses its RDMA device mlx5_0: "
                                     "8 QPs",
                                     "rdma: pid 813 (idle) has its RDMA device mlx5_0 open"));
}

TEST_F(HostUse, ASoftRdmaDeviceStandsOnItOrOnWhatStandsOnIt) {
    auto vlan = link(6, "eth0.7", "vlan");
    vlan.lower = 2;
    Network& web = other("web");
    web.links = {link(2, "lo0")};
    RdmaDevice rdma;
    rdma.name = "rxe0";
    rdma.ifindexes = {2};
    rdma.users = {{.pid = 0, .kernel_name = "ib_iser", .objects = {{"QP", 1}}}};
    web.rdma = {rdma};
    EXPECT_THAT(texts(), IsEmpty()) << "it is on another link with the same number";
    ours().rdma = {rdma};
    EXPECT_THAT(texts(),
                ElementsAre("rdma: ib_iser of the kernel uses the RDMA device rxe0 on eth0: 1 QP"));
    ours().links.push_back(vlan);
    ours().rdma.front().ifindexes = {6};
    EXPECT_THAT(texts(), ElementsAre("upper: eth0.7 (vlan) stands on eth0",
                                     "rdma: ib_iser of the kernel uses the RDMA device rxe0 on "
                                     "eth0.7: 1 QP"));
}

TEST_F(HostUse, AnInterfaceInAContainerIsFoundByItsPciAddress) {
    Network& web = other("web");
    auto moved = link(2, "net1");
    moved.pci_address = kPf;
    web.links = {moved};
    web.addresses = {{.ifindex = 2, .text = "10.1.1.5/24", .automatic = false}};
    ours().links.pop_back();
    EXPECT_THAT(texts(),
                ElementsAre("namespace: its interface net1 is in the network namespace web",
                            "address: net1 in the network namespace web has the address "
                            "10.1.1.5/24"));
}

TEST_F(HostUse, AMacvlanInAContainerStandsOnIt) {
    Network& web = other("web");
    auto macvlan = link(9, "eth0", "macvlan");
    macvlan.lower = 2;
    macvlan.lower_namespace = 4;
    auto veth = link(10, "eth1", "veth");
    veth.lower = 2;
    veth.lower_namespace = 4;
    web.links = {macvlan, veth};
    EXPECT_THAT(texts(), IsEmpty()) << "4 is not known to be ours";
    web.our_id = 4;
    EXPECT_THAT(texts(), ElementsAre("upper: eth0 (macvlan) in the network namespace web stands "
                                     "on eth0"));
}

// Before Linux 5.14 a link does not say which function it belongs to.
TEST_F(HostUse, NamesServeWhereTheKernelSaysNothing) {
    ours().links[1].pci_address.clear();
    ours().addresses.push_back({.ifindex = 2, .text = "192.0.2.1/24", .automatic = false});
    EXPECT_THAT(texts(), IsEmpty());
    EXPECT_THAT(texts({"eth0"}), ElementsAre("address: eth0 has the address 192.0.2.1/24"));
}

}  // namespace
}  // namespace vfb::nic
