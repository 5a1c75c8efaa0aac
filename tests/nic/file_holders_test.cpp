// SPDX-License-Identifier: GPL-2.0-or-later
#include "nic/file_holders.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include "process_tree.hpp"

namespace vfb::nic {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Holders : public testing::Test {
protected:
    Holders() {
        networks.resize(1);
        networks.front().sockets = {{.ifindex = 2, .kind = "TCP", .inode = 1234},
                                    {.ifindex = 2, .kind = "TCP", .inode = 0}};
        // There is no other device node that every machine has.
        RdmaDevice rdma;
        rdma.name = "rxe0";
        rdma.nodes = {makedev(1, 3)};
        networks.front().rdma = {rdma};
        tree.link("dev/infiniband/uverbs0", "/dev/null");
        tree.write("proc/meminfo", "MemTotal: 1 kB\n");
    }
    ProcessTree tree;
    std::vector<Network> networks;
};

TEST_F(Holders, SocketsAreFoundByTheirInode) {
    tree.add(812, "dhclient", 5, "socket:[1234]");
    tree.add(813, "dhclient", 5, "socket:[1234]");
    tree.add(900, "other", 5, "socket:[12345]");
    tree.add(901, "another", 5, "pipe:[1234]");
    const auto root = tree.root();
    FileHolders holders(root, networks);
    EXPECT_THAT(holders.of_socket(1234), ElementsAre(812, 813));
    EXPECT_THAT(holders.of_socket(12345), IsEmpty()) << "nobody asked for it";
    EXPECT_THAT(holders.of_socket(0), IsEmpty());
    EXPECT_EQ(holders.describe(812), "pid 812 (dhclient)");
    EXPECT_EQ(holders.describe(7), "pid 7 (?)");
}

TEST_F(Holders, NodesAreFoundByTheirNumber) {
    tree.add(812, "pingpong", 3, tree.dev("infiniband/uverbs0"));
    tree.link("inside/umad7", "/dev/null");  // the path that a container has it at
    tree.add(813, "contained", 3, tree.dev("../inside/umad7"));
    tree.add(900, "other", 3, "/dev/zero");
    tree.add(901, "(udev-worker)", 3, tree.dev("infiniband/uverbs0"));
    tree.write("proc/901/fdinfo/3", "pos:\t0\nflags:\t012100000\nmnt_id:\t24\n");
    const auto root = tree.root();
    FileHolders holders(root, networks);
    EXPECT_THAT(holders.of_node(makedev(1, 3)), ElementsAre(812, 813));
    EXPECT_THAT(holders.of_node(makedev(1, 5)), IsEmpty());
}

TEST_F(Holders, OnePassServesAllQuestions) {
    tree.add(812, "dhclient", 5, "socket:[1234]");
    const auto root = tree.root();
    FileHolders holders(root, networks);
    EXPECT_THAT(holders.of_socket(1234), ElementsAre(812));
    tree.add(813, "late", 5, "socket:[1234]");
    EXPECT_THAT(holders.of_socket(1234), ElementsAre(812));
}

}  // namespace
}  // namespace vfb::nic
