// SPDX-License-Identifier: GPL-2.0-or-later
//
// Run inside the emulated machine, as root: VFs, drivers and uevents of a real kernel. The NIC at
// 0000:01:00.0 has no VFs before and none after. With --gtest_filter=NoIommu.* in a machine without
// an IOMMU, with Machine.* in any other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <thread>

#include "pci/binding.hpp"
#include "pci/inventory.hpp"
#include "pci/sriov.hpp"
#include "pci/uevents.hpp"
#include "vm_command.hpp"

namespace vfb::pci {
namespace {

using namespace std::chrono_literals;
using test::run_command;
using testing::HasSubstr;

constexpr Address kPf{.domain = 0, .bus = 1, .device = 0, .function = 0};
constexpr Address kVf{.domain = 0, .bus = 1, .device = 0x10, .function = 0};

class Machine : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_NE(std::getenv("VFB_VM"), nullptr) << "only inside the emulated machine";
        ASSERT_TRUE(list_vfs(root, kPf).value().empty());
        (void)run_command("modprobe -q igbvf");  // built into the full kernel
    }
    void TearDown() override {
        const auto removed = remove_vfs(root, kPf);
        EXPECT_TRUE(removed) << removed.error().message();
        ASSERT_TRUE(write_pf("sriov_drivers_autoprobe", "1"));
    }
    [[nodiscard]] std::string attribute(const Address& address, const std::string& name) const {
        return root.sys().read("bus/pci/devices/" + address.str() + "/" + name).value();
    }
    Result<> write_pf(const std::string& name, const std::string& value) const {
        return root.sys().write("bus/pci/devices/" + kPf.str() + "/" + name, value);
    }
    [[nodiscard]] std::optional<std::string> driver(const Address& address) const {
        return current_binding(root, address).value().driver;
    }
    void create(unsigned count) const {
        const auto vfs = create_vfs(root, kPf, count, 10s);
        ASSERT_TRUE(vfs) << vfs.error().message();
    }

    SysRoot root = SysRoot::host().value();
};

TEST_F(Machine, CreatesVfsWithoutDrivers) {
    const auto vfs = create_vfs(root, kPf, 7, 10s);
    ASSERT_TRUE(vfs) << vfs.error().message();
    ASSERT_EQ(vfs->size(), 7U);
    EXPECT_EQ(vfs->front(), kVf);
    EXPECT_EQ(vfs->back().str(), "0000:01:11.4");
    EXPECT_EQ(list_vfs(root, kPf).value(), *vfs);
    for (const Address& vf : *vfs) EXPECT_EQ(driver(vf), std::nullopt);
    EXPECT_EQ(attribute(kPf, "sriov_drivers_autoprobe"), "0");
    EXPECT_EQ(attribute(kPf, "sriov_numvfs"), "7");
    ASSERT_TRUE(remove_vfs(root, kPf));
    EXPECT_EQ(attribute(kPf, "sriov_numvfs"), "0");
    EXPECT_TRUE(remove_vfs(root, kPf));
}

TEST_F(Machine, RefusesToTouchVfsThatAreThere) {
    create(2);
    const auto error = create_vfs(root, kPf, 3, 10s).error();
    EXPECT_EQ(error.code, Code::busy);
    EXPECT_EQ(error.message(), "cannot create 3 VFs on 0000:01:00.0: it has 2 already");
    EXPECT_EQ(attribute(kPf, "sriov_numvfs"), "2");
}

TEST_F(Machine, SaysWhyTheKernelRefuses) {
    EXPECT_EQ(create_vfs(root, kPf, 8, 10s).error().code, Code::invalid);
    // The same, as the kernel itself says it: no driver.
    const auto before = current_binding(root, kPf).value();
    ASSERT_TRUE(root.sys().write("bus/pci/drivers/igb/unbind", kPf.str()));
    const auto unbound = create_vfs(root, kPf, 2, 10s).error();
    EXPECT_EQ(unbound.code, Code::unsupported);
    EXPECT_THAT(unbound.message(), HasSubstr("no driver is bound to it"));
    EXPECT_EQ(attribute(kPf, "sriov_drivers_autoprobe"), "1");
    // Or one that cannot.
    ASSERT_TRUE(pci::bind(root, kPf, "vfio-pci"));
    const auto wrong = create_vfs(root, kPf, 2, 10s).error();
    EXPECT_THAT(wrong.message(), HasSubstr("vfio-pci"));
    EXPECT_FALSE(wrong.hint.empty());
    ASSERT_TRUE(restore(root, kPf, before));
    EXPECT_EQ(driver(kPf), "igb");
}

TEST_F(Machine, BindsToVfioAndRestores) {
    create(2);
    const auto before = pci::bind(root, kVf, "vfio-pci");
    ASSERT_TRUE(before) << before.error().message();
    EXPECT_EQ(*before, Binding{});
    EXPECT_EQ(current_binding(root, kVf).value(),
              (Binding{.driver = "vfio-pci", .driver_override = "vfio-pci"}));
    EXPECT_EQ(Inventory(root).read(kVf).value().driver, "vfio-pci");
    // Twice is once.
    EXPECT_EQ(pci::bind(root, kVf, "vfio-pci").value().driver, "vfio-pci");
    ASSERT_TRUE(restore(root, kVf, *before));
    EXPECT_EQ(current_binding(root, kVf).value(), *before);
    EXPECT_TRUE(restore(root, kVf, *before));
}

// The kernel probes no VF of such a PF, not even on demand, unless driver_override says so.
TEST_F(Machine, GivesAVfBackToItsDriverWithAutoprobeOff) {
    create(1);
    const Binding kernel{.driver = "igbvf", .driver_override = ""};
    ASSERT_TRUE(write_pf("sriov_drivers_autoprobe", "0"));
    const auto restored = restore(root, kVf, kernel);
    ASSERT_TRUE(restored) << restored.error().message();
    EXPECT_EQ(current_binding(root, kVf).value(), kernel);
    const auto before = pci::bind(root, kVf, "vfio-pci").value();
    EXPECT_EQ(before, kernel);
    ASSERT_TRUE(restore(root, kVf, before));
    EXPECT_EQ(current_binding(root, kVf).value(), kernel);
}

TEST_F(Machine, PutsTheFormerDriverBackWhenBindingFails) {
    create(1);
    const Binding kernel{.driver = "igbvf", .driver_override = ""};
    ASSERT_TRUE(restore(root, kVf, kernel));
    // A driver that is there and does not want this function.
    const auto error = pci::bind(root, kVf, "pcieport").error();
    EXPECT_EQ(error.operation, "bind 0000:01:10.0 to pcieport");
    EXPECT_THAT(error.message(), testing::Not(HasSubstr("undoing")));
    EXPECT_EQ(current_binding(root, kVf).value(), kernel);
    const auto missing = pci::bind(root, kVf, "nosuch").error();
    EXPECT_EQ(missing.code, Code::not_found);
    EXPECT_EQ(current_binding(root, kVf).value(), kernel);
}

TEST_F(Machine, ChoosesADriverForAVf) {
    create(1);
    EXPECT_EQ(best_vfio_driver(root, kVf).value(), "vfio-pci");
}

TEST_F(Machine, HearsOfEveryVf) {
    auto monitor = UeventMonitor::open().value();
    create(7);
    const auto vfs = list_vfs(root, kPf).value();
    for (const Address& vf : vfs) ASSERT_TRUE(pci::bind(root, vf, "vfio-pci"));
    std::map<Address, std::vector<Uevent::Kind>> heard;
    std::size_t bound = 0;
    bool changed = false;
    const Deadline deadline(5s);
    while (bound < vfs.size() || !changed) {
        const auto event = monitor.wait(deadline).value();
        ASSERT_TRUE(event) << "after " << heard.size();
        ASSERT_NE(event->kind, Uevent::Kind::overrun);
        if (event->subsystem != "pci" || !event->address) continue;
        if (event->address == kPf && event->kind == Uevent::Kind::change) changed = true;
        if (event->address == kPf) continue;
        heard[*event->address].push_back(event->kind);
        if (event->kind != Uevent::Kind::bind) continue;
        EXPECT_EQ(event->driver, "vfio-pci");
        ++bound;
    }
    // The change says that the links between PF and VF are there; before it a VF is not read.
    using Kind = Uevent::Kind;
    for (const Address& vf : vfs)
        EXPECT_THAT(heard.at(vf), testing::ElementsAre(Kind::add, Kind::change, Kind::bind));
}

// A storm that nobody reads: the next read says that something was lost, and reading goes on.
TEST_F(Machine, SaysWhenEventsWereLost) {
    auto monitor = UeventMonitor::open().value();
    const int small = 4096;
    ASSERT_EQ(::setsockopt(monitor.fd(), SOL_SOCKET, SO_RCVBUFFORCE, &small, sizeof small), 0);
    create(7);
    std::vector<Uevent> events;
    while (const auto event = monitor.next().value()) events.push_back(*event);
    EXPECT_TRUE(std::ranges::any_of(
        events, [](const Uevent& event) { return event.kind == Uevent::Kind::overrun; }));
    ASSERT_TRUE(pci::bind(root, kVf, "vfio-pci"));
    const Deadline deadline(5s);
    for (std::optional<Uevent> event; !event || event->address != kVf;) {
        event = monitor.wait(deadline).value();
        ASSERT_TRUE(event);
    }
}

// Functions come and go while all are read: a VF is whole or not there.
TEST_F(Machine, ReadsWhileVfsComeAndGo) {
    std::atomic<bool> done = false;
    std::jthread churn([&] {
        for (int round = 0; round < 4; ++round) {
            (void)create_vfs(root, kPf, 7, 10s);
            (void)remove_vfs(root, kPf);
        }
        done = true;
    });
    Inventory inventory(root);
    std::size_t rounds = 0;
    for (; !done; ++rounds) {
        std::vector<ReadProblem> problems;
        const auto functions = inventory.read_all(&problems).value();
        for (const ReadProblem& problem : problems) ADD_FAILURE() << problem.error.message();
        for (const Function& function : functions) {
            if (function.ids() != "8086:10ca") continue;
            EXPECT_EQ(function.physfn, kPf) << function.address.str();
            EXPECT_TRUE(function.vf_index) << function.address.str();
            EXPECT_EQ(function.bars.size(), 2U) << function.address.str();
        }
    }
    EXPECT_GT(rounds, 10U);
}

// Of a machine that was started without an IOMMU, for which the others are not made.
TEST(NoIommu, IsTheReasonThatVfioTakesNothing) {
    const auto root = SysRoot::host().value();
    ASSERT_TRUE(root.sys().list("kernel/iommu_groups").value().empty());
    ASSERT_TRUE(create_vfs(root, kPf, 1, 10s));
    const auto error = pci::bind(root, kVf, "vfio-pci").error();
    EXPECT_EQ(error.code, Code::not_viable);
    EXPECT_EQ(error.message(),
              "cannot bind 0000:01:10.0 to vfio-pci: it is in no IOMMU group, so no IOMMU isolates "
              "it");
    EXPECT_EQ(current_binding(root, kVf).value(), Binding{});
    EXPECT_TRUE(remove_vfs(root, kPf));
}

}  // namespace
}  // namespace vfb::pci
