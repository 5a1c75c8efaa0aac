// SPDX-License-Identifier: GPL-2.0-or-later
#include "qemu_command.hpp"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <unistd.h>

#include <climits>

#include "memory_lock.hpp"

namespace vfb::cli {
namespace {

constexpr std::uint64_t kGiB = 1ULL << 30;

QemuCommand read(const std::vector<std::string>& words) {
    auto command = read_qemu_command(words);
    EXPECT_TRUE(command) << command.error().message();
    return command.value_or(QemuCommand{});
}

TEST(QemuCommand, MemoryAsQemuTakesIt) {
    EXPECT_EQ(read({"qemu", "-m", "4G"}).memory, 4 * kGiB);
    EXPECT_EQ(read({"qemu", "--m", "512"}).memory, kGiB / 2);
    EXPECT_EQ(read({"qemu", "-m", "1.5g"}).memory, kGiB * 3 / 2);
    EXPECT_EQ(read({"qemu", "-m", "size=1024M,slots=2,maxmem=8G"}).memory, 8 * kGiB);
    EXPECT_EQ(read({"qemu", "-m", "2048k"}).memory, 2ULL << 20);
    EXPECT_EQ(read({"qemu", "-nographic"}).memory, std::nullopt);
    EXPECT_EQ(read({"qemu", "-m", "much"}).memory, std::nullopt);
    EXPECT_EQ(read({"qemu", "-append", "-m", "-m"}).memory, std::nullopt);
}

TEST(QemuCommand, ItsIommufd) {
    const auto plain = read({"qemu", "-object", "memory-backend-ram,id=ram,size=1G", "-object",
                             "iommufd,id=mine,fd=22", "-object", "iommufd,id=second"});
    EXPECT_EQ(plain.iommufd, "mine");
    EXPECT_EQ(plain.iommufd_fd, 22);
    const auto json = read({"qemu", "-object", R"({"qom-type":"iommufd","id":"j"})"});
    EXPECT_EQ(json.iommufd, "j");
    EXPECT_EQ(json.iommufd_fd, std::nullopt);
    EXPECT_EQ(read({"qemu", "-object", "{broken"}).iommufd, std::nullopt);
    EXPECT_EQ(read({"qemu", "-object"}).iommufd, std::nullopt);
}

TEST(QemuCommand, AnIommuOfTheGuest) {
    EXPECT_FALSE(read({"qemu", "-device", "igb,id=intel-iommu"}).guest_iommu);
    EXPECT_TRUE(read({"qemu", "-device", "intel-iommu,intremap=on"}).guest_iommu);
    EXPECT_TRUE(read({"qemu", "-device", R"({"driver":"virtio-iommu-pci"})"}).guest_iommu);
    EXPECT_TRUE(read({"qemu", "-M", "virt,iommu=smmuv3"}).guest_iommu);
    EXPECT_FALSE(read({"qemu", "-machine", "virt,iommu=none"}).guest_iommu);
}

TEST(QemuCommand, Microvm) {
    EXPECT_TRUE(read_qemu_command({"qemu", "-M", "microvm,pcie=on"}));
    EXPECT_TRUE(read_qemu_command({"qemu", "-machine", "rtc=on,type=microvm,pcie=on"}));
    EXPECT_EQ(read_qemu_command({"qemu", "-machine", "microvm,acpi=off"}).error().code,
              Code::invalid);
}

TEST(MemoryLock, GuestAndReserveWithinTheBound) {
    EXPECT_EQ(memory_lock_for("net", 2 * kGiB, 8 * kGiB, false), std::int64_t(3 * kGiB));
    EXPECT_EQ(memory_lock_for("net", 2 * kGiB, 2 * kGiB, false), std::int64_t(2 * kGiB));
    EXPECT_EQ(memory_lock_for("net", 2 * kGiB, kGiB, true), std::int64_t(3 * kGiB));
    EXPECT_EQ(memory_lock_for("net", UINT64_MAX, kGiB, true), INT64_MAX);
    const auto refused = memory_lock_for("net", 2 * kGiB, kGiB, false);
    EXPECT_EQ(refused.error().code, Code::denied);
    EXPECT_EQ(
        refused.error().message(),
        "cannot lease from pool net: the guest's memory of 2048 MiB has to be locked, and the "
        "pool's bound is 1024 MiB");
}

TEST(MemoryLock, ALimitThatIsHighEnoughIsLeftAlone) {
    const auto beyond = [](std::uint64_t limit, bool privileged) {
        return memory_lock_beyond(limit, "net", 2 * kGiB, kGiB, privileged);
    };
    // The bound is no reason to refuse what needs not be raised.
    EXPECT_EQ(beyond(3 * kGiB, false), 0);
    EXPECT_EQ(beyond(RLIM_INFINITY, false), 0);
    EXPECT_EQ(beyond(3 * kGiB - 1, false).error().code, Code::denied);
    EXPECT_EQ(beyond(3 * kGiB - 1, true), std::int64_t(3 * kGiB));
}

TEST(MemoryLock, TheLimitIsThatOfTheProcess) {
    rlimit own{};
    ASSERT_EQ(::getrlimit(RLIMIT_MEMLOCK, &own), 0);
    EXPECT_EQ(memory_lock_limit(::getpid()), own.rlim_cur);
    EXPECT_FALSE(memory_lock_limit(INT_MAX));
}

}  // namespace
}  // namespace vfb::cli
