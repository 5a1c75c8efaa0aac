// SPDX-License-Identifier: GPL-2.0-or-later
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>

#include "tree.hpp"

namespace vfb::vfio::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class HoldersTest : public testing::Test {
protected:
    void SetUp() override {
        tree.add_bound("0000:01:10.0", 3, 5);
        tree.add_bound("0000:01:10.2", 4, 6);
        tree.add_process(1, "systemd", 0, "/dev/null");
    }
    std::vector<Holder> find(const std::string& address = "0000:01:10.0") {
        return find_holders(tree.root(), at(address)).value();
    }
    Tree tree;
};

TEST_F(HoldersTest, NobodyHoldsIt) {
    EXPECT_THAT(find(), IsEmpty());
}

TEST_F(HoldersTest, TheCdevAndTheGroupCount) {
    tree.add_process(812, "qemu-system-x86", 12, tree.dev("vfio/devices/vfio3"));
    tree.add_process(99, "testpmd", 7, tree.dev("vfio/5"));
    tree.add_process(100, "other", 7, tree.dev("vfio/devices/vfio4"));
    tree.add_process(101, "another", 7, tree.dev("vfio/6"));
    EXPECT_THAT(find(), ElementsAre(Holder{.pid = 99, .name = "testpmd"},
                                    Holder{.pid = 812, .name = "qemu-system-x86"}));
    EXPECT_EQ(describe(find()), "pid 99 (testpmd), pid 812 (qemu-system-x86)");
}

TEST_F(HoldersTest, WhoOnlyNamesItHasNotOpenedIt) {
    tree.add_process(300, "(udev-worker)", 12, tree.dev("vfio/devices/vfio3"));
    tree.write("proc/300/fdinfo/12", "pos:\t0\nflags:\t012100000\nmnt_id:\t24\n");
    EXPECT_THAT(find(), IsEmpty());
    tree.write("proc/300/fdinfo/12", "pos:\t0\nflags:\t02100002\nmnt_id:\t24\n");
    EXPECT_EQ(find().size(), 1U);
}

TEST_F(HoldersTest, NamesThatOnlyBeginAlikeAreOthers) {
    tree.add_process(812, "qemu", 12, tree.dev("vfio/devices/vfio30"));
    tree.add_process(813, "qemu", 12, tree.dev("vfio/devices/vfio3") + "/x");
    EXPECT_THAT(find(), IsEmpty());
}

TEST_F(HoldersTest, SeveralAreAnsweredInTheirOrder) {
    tree.add_process(812, "qemu", 12, tree.dev("vfio/devices/vfio4"));
    tree.add_process(813, "testpmd", 12, tree.dev("vfio/devices/vfio3"));
    tree.link("proc/813/fd/13", tree.dev("vfio/6"));
    const std::vector both{at("0000:01:10.2"), at("0000:01:10.0")};
    const Holder qemu{.pid = 812, .name = "qemu"};
    const Holder testpmd{.pid = 813, .name = "testpmd"};
    EXPECT_THAT(find_holders(tree.root(), both).value(),
                ElementsAre(ElementsAre(qemu, testpmd), ElementsAre(testpmd)));
    EXPECT_THAT(find_holders(tree.root(), std::vector<pci::Address>{}).value(), IsEmpty());
}

TEST_F(HoldersTest, OneProcessIsNamedOnce) {
    tree.add_process(812, "qemu", 12, tree.dev("vfio/devices/vfio3"));
    tree.link("proc/812/fd/13", tree.dev("vfio/5"));
    EXPECT_EQ(find().size(), 1U);
}

TEST_F(HoldersTest, AThreadWithDescriptorsOfItsOwnCounts) {
    tree.add_process(812, "tenant", 1, "/dev/null");
    tree.link("proc/812/task/812/fd/1", "/dev/null");
    tree.link("proc/812/task/813/fd/1", "/dev/null");
    tree.link("proc/812/task/814/fd/1", "/dev/null");
    tree.link("proc/812/task/814/fd/12", tree.dev("vfio/devices/vfio3"));
    EXPECT_THAT(find(), ElementsAre(Holder{.pid = 812, .name = "tenant"}));
}

TEST_F(HoldersTest, AProcessWhoseFirstThreadHasEndedCounts) {
    tree.write("proc/812/comm", "tenant\n");
    std::filesystem::create_directories(tree.dev("../proc/812/fd"));
    tree.write("proc/812/task/812/comm", "tenant\n");
    tree.link("proc/812/task/813/fd/12", tree.dev("vfio/devices/vfio3"));
    EXPECT_THAT(find(), ElementsAre(Holder{.pid = 812, .name = "tenant"}));
}

TEST_F(HoldersTest, ADeviceOfAGroupCountsWhereItSaysWhoseItIs) {
    tree.add_process(812, "mine", 12, "anon_inode:[vfio-device]");
    tree.write("proc/812/fdinfo/12",
               "pos:\t0\nvfio-device-syspath: /sys/devices/pci0000:00/0000:00:02.0/0000:01:10.0\n");
    tree.add_process(813, "another's", 12, "anon_inode:[vfio-device]");
    tree.write("proc/813/fdinfo/12",
               "pos:\t0\nvfio-device-syspath: /sys/devices/pci0000:00/0000:00:02.0/0000:01:10.2\n");
    tree.add_process(814, "untold", 12, "anon_inode:[vfio-device]");
    tree.write("proc/814/fdinfo/12", "pos:\t0\nflags:\t02000002\n");
    EXPECT_THAT(find(), ElementsAre(Holder{.pid = 812, .name = "mine"}));
}

TEST_F(HoldersTest, ADeletedCdevCountsWhileTheDriverIsBeingUnbound) {
    tree.add_process(812, "qemu", 12, tree.dev("vfio/devices/vfio3") + " (deleted)");
    EXPECT_THAT(find(), IsEmpty()) << "it is bound again, with another cdev";
    const auto device = std::filesystem::path(tree.dev("")).parent_path().parent_path() /
                        "sys/bus/pci/devices/0000:01:10.0";
    std::filesystem::remove(device / "driver");
    std::filesystem::remove_all(device / "vfio-dev");
    EXPECT_EQ(find().size(), 1U);
}

TEST_F(HoldersTest, AProcessThatVanishesHoldsNothing) {
    tree.write("proc/812/comm", "gone\n");  // its fd folder is not there any more
    tree.write("proc/version", "Linux\n");
    tree.write("proc/12x/comm", "no process\n");
    EXPECT_THAT(find(), IsEmpty());
}

TEST_F(HoldersTest, ANodeUnderAnotherNameIsToldByItsNumber) {
    // The group's node has the number of /dev/null here, which root may make without harm.
    std::filesystem::remove(tree.dev("vfio/5"));
    if (::mknod(tree.dev("vfio/5").c_str(), S_IFCHR | 0600, makedev(1, 3)) != 0)
        GTEST_SKIP() << "only root can make a device node";
    std::filesystem::create_symlink("/dev/null", tree.dev("nic0"));
    tree.add_process(812, "container", 12, tree.dev("nic0"));
    EXPECT_THAT(find(), ElementsAre(Holder{.pid = 812, .name = "container"}));
}

}  // namespace
}  // namespace vfb::vfio::test
