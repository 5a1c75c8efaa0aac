// SPDX-License-Identifier: GPL-2.0-or-later
#include <gmock/gmock.h>

#include <filesystem>

#include "tree.hpp"

namespace vfb::vfio::test {
namespace {

using testing::HasSubstr;

TEST(Nodes, OfABoundFunctionAreThoseOfBothBackends) {
    const Tree tree;
    tree.add_bound("0000:01:10.0", 3, 5);
    EXPECT_EQ(find_nodes(tree.root(), at("0000:01:10.0")).value(),
              (Nodes{.cdev = "vfio/devices/vfio3", .group = "vfio/5"}));
}

TEST(Nodes, AKernelWithoutDeviceNodesHasTheGroupOnly) {
    const Tree tree;
    tree.add_bound("0000:01:10.0", 3, 5);
    std::filesystem::remove(tree.dev("vfio/devices/vfio3"));
    EXPECT_EQ(find_nodes(tree.root(), at("0000:01:10.0"))->cdev, std::nullopt);
    const auto fd = open_cdev(tree.root(), at("0000:01:10.0"));
    ASSERT_FALSE(fd.has_value());
    EXPECT_EQ(fd.error().code, Code::unsupported);
    EXPECT_THAT(fd.error().message(), HasSubstr("CONFIG_VFIO_DEVICE_CDEV"));
}

TEST(Nodes, TheNoIommuModeIsFoundAndNeverOpened) {
    const Tree tree;
    tree.add_bound("0000:01:10.0", 3, 5, "noiommu-");
    EXPECT_EQ(find_nodes(tree.root(), at("0000:01:10.0"))->group, "vfio/noiommu-5");
    const auto cdev = open_cdev(tree.root(), at("0000:01:10.0"));
    const auto group = open_groups(tree.root(), {at("0000:01:10.0")});
    ASSERT_FALSE(cdev.has_value() || group.has_value());
    EXPECT_EQ(cdev.error().code, Code::not_viable);
    EXPECT_EQ(group.error().code, Code::not_viable);
    EXPECT_THAT(group.error().message(), HasSubstr("no-IOMMU mode"));
}

TEST(Nodes, WhatHasItInsteadIsNamed) {
    const Tree tree;
    tree.link("sys/bus/pci/devices/0000:01:10.0/driver", "../../../../bus/pci/drivers/igbvf");
    tree.write("sys/bus/pci/devices/0000:01:10.2/vendor", "0x8086\n");
    const auto message = [&](const char* address) {
        const auto nodes = find_nodes(tree.root(), at(address));
        EXPECT_FALSE(nodes.has_value());
        EXPECT_EQ(nodes.error().code, Code::not_found);
        return nodes.error().message();
    };
    EXPECT_EQ(message("0000:01:10.0"),
              "cannot find the VFIO nodes of 0000:01:10.0: it is bound to igbvf, not to a VFIO "
              "driver");
    EXPECT_THAT(message("0000:01:10.2"), HasSubstr("bound to no driver"));
    EXPECT_THAT(message("0000:01:10.4"), HasSubstr("no such function"));
}

TEST(Nodes, NoFunctionIsNoGroupToOpen) {
    const Tree tree;
    EXPECT_EQ(open_groups(tree.root(), {}).error().code, Code::invalid);
}

TEST(Nodes, WithoutIommufdTheHintSaysWhatToLoad) {
    const Tree tree;
    const auto fd = open_iommufd(tree.root(), true);
    ASSERT_FALSE(fd.has_value());
    EXPECT_EQ(fd.error().code, Code::unsupported);
    EXPECT_THAT(fd.error().hint, HasSubstr("modprobe"));
}

}  // namespace
}  // namespace vfb::vfio::test
