// SPDX-License-Identifier: GPL-2.0-or-later
#include <gmock/gmock.h>

#include "tree.hpp"

namespace vfb::vfio::test {
namespace {

using testing::HasSubstr;

TEST(Backend, HasItsNameBothWays) {
    for (const Backend backend : {Backend::iommufd, Backend::group})
        EXPECT_EQ(backend_from_string(to_string(backend)), backend);
    EXPECT_EQ(backend_from_string("container"), std::nullopt);
    EXPECT_EQ(backend_from_string(""), std::nullopt);
}

// The part of proc/devices that a kernel with these backends shows.
Support support_with(const std::string& ranges, bool nodes) {
    const Tree tree;
    tree.write("proc/devices", "Character devices:\n  1 mem\n" + ranges + "\nBlock devices:\n");
    if (nodes) {
        tree.write("dev/iommu", "");
        tree.write("dev/vfio/vfio", "");
    }
    return read_support(tree.root(), std::nullopt);
}

TEST(Support, IommufdIsPreferred) {
    const auto support = support_with("246 vfio-dev\n247 vfio\n", true);
    EXPECT_TRUE(support.iommufd);
    EXPECT_TRUE(support.group);
    EXPECT_EQ(support.preferred().value(), Backend::iommufd);
}

TEST(Support, AKernelWithoutDeviceNodesHasTheGroupBackend) {
    const auto support = support_with("244 vfio\n", true);
    EXPECT_FALSE(support.iommufd);
    EXPECT_THAT(support.iommufd_reason, HasSubstr("CONFIG_VFIO_DEVICE_CDEV"));
    EXPECT_EQ(support.preferred().value(), Backend::group);
}

TEST(Support, AKernelWithoutGroupsHasIommufd) {
    const auto support = support_with("246 vfio-dev\n", true);
    EXPECT_FALSE(support.group);
    EXPECT_THAT(support.group_reason, HasSubstr("CONFIG_VFIO_GROUP"));
    EXPECT_EQ(support.preferred().value(), Backend::iommufd);
}

TEST(Support, WithoutTheModuleThereIsNone) {
    const auto support = support_with("128 ptm\n", true);
    EXPECT_FALSE(support.iommufd || support.group);
    const auto preferred = support.preferred();
    ASSERT_FALSE(preferred.has_value());
    EXPECT_EQ(preferred.error().code, Code::unsupported);
    EXPECT_THAT(preferred.error().message(), HasSubstr("modprobe vfio-pci"));
}

TEST(Support, NodesThatAreMissingAreNamed) {
    const auto support = support_with("246 vfio-dev\n247 vfio\n", false);
    EXPECT_THAT(support.iommufd_reason, HasSubstr("/dev/iommu"));
    EXPECT_THAT(support.group_reason, HasSubstr("/dev/vfio/vfio"));
}

TEST(Support, ABoundFunctionTellsWhereProcfsDoesNot) {
    const Tree tree;
    tree.add_bound("0000:01:10.0", 3, 5);
    tree.write("dev/iommu", "");
    EXPECT_FALSE(read_support(tree.root(), std::nullopt).iommufd);
    EXPECT_TRUE(read_support(tree.root(), at("0000:01:10.0")).iommufd);
}

}  // namespace
}  // namespace vfb::vfio::test
