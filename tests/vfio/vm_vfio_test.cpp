// SPDX-License-Identifier: GPL-2.0-or-later
//
// Inside the emulated machine, on both kernels. Run the suite of the machine that is there:
//   ./dev vm -- vm_vfio_test --gtest_filter='Plain.*:Chipset.*'
//   ./dev vm --switch -- vm_vfio_test --gtest_filter='Switch.*'
//   ./dev vm --intremap off -- vm_vfio_test --gtest_filter='NoIntremap.*'
//   ./dev vm --no-iommu -- vm_vfio_test --gtest_filter='NoIommu.*'
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "check.hpp"
#include "ioctls.hpp"
#include "pci/binding.hpp"
#include "vm_machine.hpp"

namespace vfb::vfio::test {
namespace {

using testing::Contains;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

using Plain = WithVfs;
using NoIntremap = WithVfs;

class Switch : public WithVfs {
    pci::Address pf() const override { return at("0000:04:00.0"); }
};

// The calling process keeps the function to the end, as a VMM does.
bool take(const SysRoot& root, const pci::Address& address, Backend backend) {
    if (backend == Backend::group) {
        static GroupDescriptors descriptors;
        auto opened = open_groups(root, {address});
        if (!opened) return false;
        descriptors = std::move(*opened);
        return true;
    }
    static UniqueFd cdev;
    static UniqueFd context;
    auto node = open_cdev(root, address);
    auto iommufd = open_iommufd(root, true);
    if (!node || !iommufd || !ioctls::bind_iommufd(node->get(), iommufd->get())) return false;
    cdev = std::move(*node);
    context = std::move(*iommufd);
    return true;
}

bool take_unbound(const SysRoot& root, const pci::Address& address) {
    static UniqueFd cdev;
    auto node = open_cdev(root, address);
    if (!node) return false;
    cdev = std::move(*node);
    return true;
}

TEST_F(Plain, TheKernelHasItsBackends) {
    for (const auto& bound : {std::optional(vfs[0]), std::optional<pci::Address>()}) {
        const auto support = read_support(root, bound);
        EXPECT_TRUE(support.group) << support.group_reason;
        EXPECT_EQ(support.iommufd, full_kernel()) << support.iommufd_reason;
        EXPECT_EQ(support.preferred().value(), backends().front());
    }
    const auto nodes = find_nodes(root, vfs[0]).value();
    EXPECT_TRUE(nodes.group.has_value());
    EXPECT_EQ(nodes.cdev.has_value(), full_kernel());
}

TEST_F(Plain, ResetAndCheckFindsAWorkingVf) {
    for (const Backend backend : backends()) {
        const auto start = std::chrono::steady_clock::now();
        const auto info = reset_and_check(root, vfs[0], backend);
        const auto took = std::chrono::steady_clock::now() - start;
        ASSERT_TRUE(info.has_value()) << info.error().message();
        EXPECT_TRUE(info->resettable);
        EXPECT_TRUE(info->pci);
        EXPECT_EQ(info->msix_vectors, 3U);
        ASSERT_GE(info->region_sizes.size(), 8U);
        EXPECT_EQ(info->region_sizes[0], 0x4000U);
        EXPECT_GT(took, std::chrono::milliseconds(200)) << "two resets of 100 ms each";
        fmt::print("{}: {} ms\n", to_string(backend),
                   std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
    }
}

TEST_F(Plain, SeveralVfsAreCheckedAtOnce) {
    std::vector<std::jthread> threads;
    threads.reserve(vfs.size());
    for (const pci::Address& vf : vfs)
        threads.emplace_back([&, vf] {
            const auto info = reset_and_check(root, vf, backends().front());
            EXPECT_TRUE(info.has_value()) << info.error().message();
        });
}

TEST_F(Plain, WhoHasItIsNamed) {
    for (const Backend backend : backends()) {
        EXPECT_THAT(find_holders(root, vfs[0]).value(), IsEmpty());
        Other other([&] { return take(root, vfs[0], backend); });
        ASSERT_TRUE(other.took());
        const auto holders = find_holders(root, vfs[0]).value();
        ASSERT_EQ(holders.size(), 1U);
        EXPECT_EQ(holders[0].pid, other.pid());
        EXPECT_EQ(holders[0].name, "vm_vfio_test");
        EXPECT_THAT(find_holders(root, vfs[1]).value(), IsEmpty());
        for (const Backend mine : backends()) {
            const auto info = reset_and_check(root, vfs[0], mine);
            ASSERT_FALSE(info.has_value());
            EXPECT_EQ(info.error().code, Code::busy);
            EXPECT_EQ(info.error().message(),
                      fmt::format("cannot reset {}: it is open in pid {} (vm_vfio_test)", vfs[0],
                                  other.pid()));
        }
        other.end();
        EXPECT_THAT(find_holders(root, vfs[0]).value(), IsEmpty());
        EXPECT_TRUE(reset_and_check(root, vfs[0], backend).has_value());
    }
}

TEST_F(Plain, AGroupThatIsOpenNamesItsHolder) {
    Other other([&] { return take(root, vfs[0], Backend::group); });
    ASSERT_TRUE(other.took());
    const auto group = open_groups(root, {vfs[0]});
    ASSERT_FALSE(group.has_value());
    EXPECT_EQ(group.error().code, Code::busy);
    EXPECT_THAT(group.error().message(), HasSubstr(fmt::format("pid {}", other.pid())));
}

TEST_F(Plain, ADeviceDescriptorAloneKeepsTheGroupBusy) {
    Other other([&] {
        static UniqueFd device;
        auto opened = open_groups(root, {vfs[0]});
        if (!opened) return false;
        device = std::move(opened->devices.front());
        return true;
    });
    ASSERT_TRUE(other.took());
    const auto group = open_groups(root, {vfs[0]});
    ASSERT_FALSE(group.has_value());
    EXPECT_EQ(group.error().code, Code::busy);
    EXPECT_THAT(group.error().message(), HasSubstr(fmt::format("pid {}", other.pid())));
}

TEST_F(Plain, ADescriptorOfOurOwnIsSaidToBe) {
    const auto first = open_groups(root, {vfs[0]});
    ASSERT_TRUE(first.has_value()) << first.error().message();
    const auto second = open_groups(root, {vfs[0]});
    ASSERT_FALSE(second.has_value());
    EXPECT_THAT(second.error().message(), HasSubstr("open in this process already"));
}

TEST_F(Plain, TheDescriptorsOfAGroupAreUsable) {
    const auto group = open_groups(root, {vfs[0]});
    ASSERT_TRUE(group.has_value()) << group.error().message();
    ASSERT_EQ(group->devices.size(), 1U);
    const int device = group->devices[0].get();
    const auto info = ioctls::device_info(device);
    ASSERT_TRUE(info.has_value());
    EXPECT_NE(info->flags & VFIO_DEVICE_FLAGS_RESET, 0U);
    const auto config = ioctls::region_info(device, VFIO_PCI_CONFIG_REGION_INDEX).value();
    std::uint32_t ids = 0;
    ASSERT_EQ(::pread(device, &ids, sizeof(ids), static_cast<off_t>(config.offset)), 4);
    EXPECT_EQ(ids, 0x10ca8086U);
    EXPECT_EQ(ioctls::group_flags(group->groups.front().get()).value(),
              static_cast<unsigned>(VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET));
    for (const int fd : {device, group->groups.front().get(), group->container.get()})
        EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(Plain, UnbindingThatWaitsNamesWhoHoldsIt) {
    for (const Backend backend : backends()) {
        Other other([&] {
            return backend == Backend::iommufd ? take_unbound(root, vfs[0])
                                               : take(root, vfs[0], backend);
        });
        ASSERT_TRUE(other.took());
        std::jthread unbinding([&] {
            const auto done = root.sys().write("bus/pci/drivers/vfio-pci/unbind", vfs[0].str());
            EXPECT_TRUE(done.has_value()) << done.error().message();
        });
        std::this_thread::sleep_for(std::chrono::seconds(1));
        EXPECT_FALSE(find_nodes(root, vfs[0]).has_value());
        EXPECT_THAT(find_holders(root, vfs[0]).value(), Contains(Field(&Holder::pid, other.pid())));
        other.end();
        unbinding.join();
        ASSERT_TRUE(pci::bind(root, vfs[0], "vfio-pci").has_value());
        EXPECT_THAT(find_holders(root, vfs[0]).value(), IsEmpty());
    }
}

TEST_F(Plain, ManyMayOpenACdevButOnlyOneBindsIt) {
    if (!full_kernel()) GTEST_SKIP() << "this kernel has no device nodes";
    const auto start = std::chrono::steady_clock::now();
    const auto first = open_cdev(root, vfs[0]).value().release();
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(60));
    UniqueFd second(open_cdev(root, vfs[0]).value().release());
    const auto context = open_iommufd(root, false);
    ASSERT_TRUE(ioctls::bind_iommufd(first, context->get()).has_value());
    EXPECT_EQ(ioctls::bind_iommufd(second.get(), context->get()).error(), EINVAL);
    EXPECT_EQ(ioctls::bind_iommufd(first, context->get()).error(), EINVAL);
    EXPECT_TRUE(open_cdev(root, vfs[0]).has_value()) << "opening proves nothing";
    // The moment the first has closed it, one that was open all the time gets it.
    ::close(first);
    EXPECT_TRUE(ioctls::bind_iommufd(second.get(), context->get()).has_value());
}

TEST_F(Plain, ACdevThatIsOpenUnboundIsFound) {
    if (!full_kernel()) GTEST_SKIP() << "this kernel has no device nodes";
    const Other other([&] { return take_unbound(root, vfs[0]); });
    ASSERT_TRUE(other.took());
    const auto info = reset_and_check(root, vfs[0], Backend::iommufd);
    ASSERT_FALSE(info.has_value());
    EXPECT_EQ(info.error().code, Code::busy);
    EXPECT_THAT(info.error().message(), HasSubstr(fmt::format("pid {}", other.pid())));
}

TEST_F(Plain, PinnedMemoryIsChargedToTheProcess) {
    if (!full_kernel()) {
        EXPECT_EQ(open_iommufd(root, true).error().code, Code::unsupported);
        return;
    }
    const auto plain = open_iommufd(root, false).value().release();
    const auto charged = open_iommufd(root, true).value().release();
    EXPECT_EQ(ioctls::rlimit_mode(plain).value(), 0U);
    EXPECT_EQ(ioctls::rlimit_mode(charged).value(), 1U);
    ::close(plain);
    ::close(charged);
}

TEST_F(Plain, ChargingNeedsACapability) {
    if (!full_kernel()) GTEST_SKIP() << "this kernel has no iommufd";
    const Other other([&] {
        __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
        __user_cap_data_struct data[2]{};
        ::syscall(SYS_capget, &header, data);
        data[0].effective &= ~(1U << CAP_SYS_RESOURCE);
        ::syscall(SYS_capset, &header, data);
        const auto context = open_iommufd(root, true);
        return !context && context.error().code == Code::denied &&
               context.error().hint.contains("CAP_SYS_RESOURCE");
    });
    EXPECT_TRUE(other.took());
}

// The port above forgets its buses for a while: all below it reads all ones, and no driver knows.
class PortForgets {
public:
    explicit PortForgets(const SysRoot& root)
        : port_(root.sys().open_file("bus/pci/devices/0000:00:02.0/config", O_RDWR).value()) {
        const std::uint32_t none = 0;
        EXPECT_EQ(::pread(port_.get(), &buses_, sizeof(buses_), PCI_PRIMARY_BUS), 4);
        EXPECT_EQ(::pwrite(port_.get(), &none, sizeof(none), PCI_PRIMARY_BUS), 4);
    }
    ~PortForgets() {
        EXPECT_EQ(::pwrite(port_.get(), &buses_, sizeof(buses_), PCI_PRIMARY_BUS), 4);
    }

private:
    UniqueFd port_;
    std::uint32_t buses_ = 0;
};

TEST_F(Plain, AFunctionThatReadsAllOnesIsLost) {
    for (const Backend backend : backends()) {
        const auto start = std::chrono::steady_clock::now();
        {
            const PortForgets forgets(root);
            const auto info = reset_and_check(root, vfs[0], backend);
            ASSERT_FALSE(info.has_value());
            EXPECT_EQ(info.error().code, Code::lost);
            EXPECT_THAT(info.error().message(), HasSubstr("reads all ones"));
        }
        EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5))
            << "the kernel would wait for a minute";
        const auto again = reset_and_check(root, vfs[0], backend);
        EXPECT_TRUE(again.has_value()) << again.error().message();
    }
}

TEST_F(Plain, OneThatIsLostWhileItIsOpenIsSeen) {
    const auto group = open_groups(root, {vfs[0]});
    ASSERT_TRUE(group.has_value()) << group.error().message();
    EXPECT_TRUE(inspect(group->devices[0].get(), vfs[0]).has_value());
    {
        const PortForgets forgets(root);
        EXPECT_EQ(inspect(group->devices[0].get(), vfs[0]).error().code, Code::lost);
    }
    EXPECT_TRUE(inspect(group->devices[0].get(), vfs[0]).has_value());
}

// The SATA and SMBus controllers of the chipset: one group, and no way to reset the latter.
class Chipset : public testing::Test {
protected:
    void SetUp() override {
        if (std::getenv("VFB_VM") == nullptr) GTEST_SKIP() << "only inside the emulated machine";
        for (const pci::Address& address : {sata, smbus}) {
            auto bound = pci::bind(root, address, "vfio-pci");
            ASSERT_TRUE(bound.has_value()) << bound.error().message();
            before.emplace_back(address, *bound);
        }
    }
    void TearDown() override {
        for (const auto& [address, binding] : before)
            EXPECT_TRUE(pci::restore(root, address, binding).has_value());
    }
    SysRoot root = SysRoot::host().value();
    const pci::Address sata = at("0000:00:1f.2");
    const pci::Address smbus = at("0000:00:1f.3");
    std::vector<std::pair<pci::Address, pci::Binding>> before;
};

TEST_F(Chipset, WhatCannotBeResetIsUnsupported) {
    for (const Backend backend : backends()) {
        const auto info = reset_and_check(root, smbus, backend);
        ASSERT_FALSE(info.has_value());
        EXPECT_EQ(info.error().code, Code::unsupported) << info.error().message();
        EXPECT_THAT(info.error().message(), HasSubstr("reset"));
    }
}

TEST_F(Chipset, AnotherMemberInUseIsNamed) {
    for (const Backend backend : backends()) {
        const Other other([&] { return take(root, sata, backend); });
        ASSERT_TRUE(other.took());
        const auto info = reset_and_check(root, smbus, backend);
        ASSERT_FALSE(info.has_value());
        EXPECT_EQ(info.error().code, Code::busy) << info.error().message();
        EXPECT_THAT(info.error().message(), HasSubstr(fmt::format("pid {}", other.pid())));
    }
}

TEST_F(Chipset, AllOfAGroupAreOpenedTogether) {
    const auto group = open_groups(root, {sata, smbus});
    ASSERT_TRUE(group.has_value()) << group.error().message();
    EXPECT_EQ(group->groups.size(), 1U);
    EXPECT_EQ(group->devices.size(), 2U);
}

// One container: the VMM maps its guest's memory once for all functions of the lease.
TEST_F(Plain, FunctionsOfTwoGroupsShareAContainer) {
    {
        const auto opened = open_groups(root, {vfs[1], vfs[0]});
        ASSERT_TRUE(opened.has_value()) << opened.error().message();
        ASSERT_EQ(opened->groups.size(), 2U);
        ASSERT_EQ(opened->devices.size(), 2U);
        for (const auto& group : opened->groups)
            EXPECT_NE(ioctls::group_flags(group.get()).value() & VFIO_GROUP_FLAGS_CONTAINER_SET,
                      0U);
        EXPECT_EQ(open_groups(root, {vfs[0]}).error().code, Code::busy);
    }
    EXPECT_TRUE(open_groups(root, {vfs[0]}).has_value());
}

TEST_F(Switch, AGroupWithThePfInItIsNotViable) {
    for (const Backend backend : backends()) {
        const auto info = reset_and_check(root, vfs[0], backend);
        ASSERT_FALSE(info.has_value());
        EXPECT_EQ(info.error().code, Code::not_viable);
        EXPECT_THAT(info.error().message(), HasSubstr("also holds 0000:04:00.0 (igb)"));
    }
}

TEST_F(NoIntremap, AttachingSaysWhyItIsRefused) {
    for (const Backend backend : backends()) {
        const auto info = reset_and_check(root, vfs[0], backend);
        ASSERT_FALSE(info.has_value());
        EXPECT_EQ(info.error().code, Code::not_viable);
        EXPECT_EQ(info.error().errnum, EPERM);
        EXPECT_THAT(info.error().message(), HasSubstr("interrupts are not remapped"));
        EXPECT_THAT(info.error().hint, HasSubstr("allow_unsafe_interrupts"));
        const std::string parameter = backend == Backend::group
                                          ? "module/vfio_iommu_type1/parameters/"
                                          : "module/iommufd/parameters/";
        ASSERT_TRUE(root.sys().write(parameter + "allow_unsafe_interrupts", "1").has_value());
        const auto allowed = reset_and_check(root, vfs[0], backend);
        EXPECT_TRUE(allowed.has_value()) << allowed.error().message();
        ASSERT_TRUE(root.sys().write(parameter + "allow_unsafe_interrupts", "0").has_value());
    }
}

TEST(NoIommu, TheUnsafeModeIsNeverUsed) {
    if (std::getenv("VFB_VM") == nullptr) GTEST_SKIP() << "only inside the emulated machine";
    const SysRoot root = SysRoot::host().value();
    const std::string parameter = "module/vfio/parameters/enable_unsafe_noiommu_mode";
    if (!root.sys().exists(parameter)) GTEST_SKIP() << "this kernel has no such mode";
    const pci::Address address = at("0000:01:00.0");
    ASSERT_FALSE(pci::bind(root, address, "vfio-pci").has_value());
    ASSERT_TRUE(root.sys().write(parameter, "1").has_value());
    const auto before = pci::bind(root, address, "vfio-pci");
    ASSERT_TRUE(before.has_value()) << before.error().message();
    EXPECT_THAT(find_nodes(root, address)->group.value_or(""), HasSubstr("noiommu-"));
    for (const Backend backend : {Backend::group, Backend::iommufd}) {
        const auto info = reset_and_check(root, address, backend);
        ASSERT_FALSE(info.has_value());
        EXPECT_EQ(info.error().code, Code::not_viable);
        EXPECT_THAT(info.error().message(), HasSubstr("no-IOMMU mode"));
    }
    EXPECT_TRUE(pci::restore(root, address, *before).has_value());
}

}  // namespace
}  // namespace vfb::vfio::test
