// SPDX-License-Identifier: GPL-2.0-or-later
#include "pci/storage_use.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace vfb::pci {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* kDisk = "0000:03:00.0";

class StorageUse : public testing::Test {
protected:
    StorageUse()
        : folder_(fs::path(testing::TempDir()) / ("storage" + std::to_string(::getpid()))) {
        fs::remove_all(folder_);
        for (const char* name : {"sys/class/block", "dev", "proc"})
            fs::create_directories(folder_ / name);
        add("sda", "8:0", "pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda");
        add("nvme0n1", "259:0", std::string("pci0000:00/") + kDisk + "/nvme/nvme0/nvme0n1");
        add("nvme0n1p2", "259:2",
            std::string("pci0000:00/") + kDisk + "/nvme/nvme0/nvme0n1/nvme0n1p2");
        mounts(1, "4026531841", "21 1 8:0 / / rw - ext4 /dev/sda rw\n");
    }
    ~StorageUse() override { fs::remove_all(folder_); }

    void write(const std::string& name, const std::string& text) const {
        fs::create_directories((folder_ / name).parent_path());
        std::ofstream(folder_ / name) << text;
    }
    void link(const std::string& name, const std::string& target) const {
        fs::create_directories((folder_ / name).parent_path());
        fs::create_symlink(target, folder_ / name);
    }
    void add(const std::string& name, const std::string& number, const std::string& path) const {
        write("sys/devices/" + path + "/dev", number + "\n");
        link("sys/class/block/" + name, "../../devices/" + path);
    }
    void hold(const std::string& name, const std::string& holder) const {
        fs::create_directories(folder_ / "sys/class/block" / name / "holders" / holder);
    }
    void mounts(int pid, const std::string& space, const std::string& text) const {
        const std::string process = "proc/" + std::to_string(pid);
        write(process + "/mountinfo", text);
        link(process + "/ns/mnt", "mnt:[" + space + "]");
    }
    std::string dev() const { return (folder_ / "dev").string(); }
    std::vector<std::string> texts() const {
        const auto root = SysRoot::at(folder_.string());
        const auto uses = storage_uses(*root, Address::parse(kDisk).value());
        EXPECT_TRUE(uses) << uses.error().message();
        std::vector<std::string> list;
        for (const auto& use : *uses) list.push_back(use.kind + ": " + use.text);
        return list;
    }

private:
    fs::path folder_;
};

TEST_F(StorageUse, NoneOfADiskThatNobodyMounts) {
    EXPECT_THAT(texts(), IsEmpty());
}

TEST_F(StorageUse, AMountOfAPartitionInAnyNamespace) {
    mounts(400, "4026532999", "31 30 259:2 / /srv/data\\040base rw shared:1 - xfs /dev/x rw\n");
    EXPECT_THAT(texts(), ElementsAre("mount: nvme0n1p2 is mounted at /srv/data\\040base"));
}

// Its mounts have numbers of no device.
TEST_F(StorageUse, ABtrfsIsFoundByItsSource) {
    mounts(400, "4026532999", "31 30 0:44 / /srv rw - btrfs " + dev() + "/nvme0n1 rw\n");
    EXPECT_THAT(texts(), ElementsAre("mount: nvme0n1 is mounted at /srv"));
}

TEST_F(StorageUse, WhatIsMadeOfItIsFollowed) {
    add("dm-0", "253:0", "virtual/block/dm-0");
    write("sys/devices/virtual/block/dm-0/dm/name", "vg-root\n");
    add("md127", "9:127", "virtual/block/md127");
    hold("nvme0n1p2", "md127");
    hold("md127", "dm-0");
    mounts(400, "4026532999", "31 30 253:0 / /srv rw - ext4 /dev/mapper/vg-root rw\n");
    EXPECT_THAT(texts(), ElementsAre("holder: nvme0n1p2 belongs to md127",
                                     "holder: md127 belongs to dm-0 (vg-root)",
                                     "mount: dm-0 is mounted at /srv"));
}

TEST_F(StorageUse, Swap) {
    write("proc/swaps",
          "Filename\tType\tSize\tUsed\tPriority\n/dev/nvme0n1p2  partition\t8388604\t0\t-2\n");
    EXPECT_THAT(texts(), ElementsAre("swap: the host swaps to nvme0n1p2"));
}

TEST_F(StorageUse, ADiskOfSeveralControllersCountsForEach) {
    add("nvme7n1", "259:9", "virtual/nvme-subsystem/nvme-subsys7/nvme7n1");
    link("sys/devices/virtual/nvme-subsystem/nvme-subsys7/nvme7",
         std::string("../../../pci0000:00/") + kDisk + "/nvme/nvme7");
    link("sys/class/nvme-subsystem/nvme-subsys7",
         "../../devices/virtual/nvme-subsystem/nvme-subsys7");
    mounts(400, "4026532999", "31 30 259:9 / /srv rw - ext4 /dev/nvme7n1 rw\n");
    EXPECT_THAT(texts(), ElementsAre("mount: nvme7n1 is mounted at /srv"));
}

}  // namespace
}  // namespace vfb::pci
