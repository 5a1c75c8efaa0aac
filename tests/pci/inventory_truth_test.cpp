// SPDX-License-Identifier: GPL-2.0-or-later
//
// Run inside the emulated machine, as root, as vm_inventory_test: every field of every function
// equals what lspci, the kernel's own tree and ip(8) say of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "lspci.hpp"
#include "pci/inventory.hpp"
#include "pci/sriov.hpp"
#include "vm_command.hpp"

namespace vfb::pci {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using test::command_output;
using test::run_command;

constexpr Address kPf{.domain = 0, .bus = 1, .device = 0, .function = 0};

std::string read_text(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    auto whole = text.str();
    if (whole.ends_with('\n')) whole.pop_back();
    return whole;
}

void expect_same_netdevs(const Function& function, const fs::path& folder) {
    std::vector<std::string> names;
    std::vector<std::string> expected;
    for (const Netdev& netdev : function.netdevs) names.push_back(netdev.name);
    if (fs::exists(folder / "net"))
        for (const auto& entry : fs::directory_iterator(folder / "net"))
            expected.push_back(entry.path().filename());
    EXPECT_THAT(names, testing::UnorderedElementsAreArray(expected));
    for (const Netdev& netdev : function.netdevs) {
        const auto link = command_output("ip -o link show dev " + netdev.name);
        EXPECT_TRUE(link.starts_with(std::to_string(netdev.ifindex) + ": ")) << link;
        EXPECT_THAT(link, testing::HasSubstr("link/ether " + netdev.mac));
        const auto flags = link.substr(link.find('<'), link.find('>') - link.find('<'));
        EXPECT_EQ(netdev.up, flags.find("UP") != std::string::npos) << flags;
        // ip names the permanent address where it is another one.
        const auto at = link.find("permaddr ");
        EXPECT_EQ(netdev.permanent_mac,
                  at == std::string::npos ? netdev.mac : link.substr(at + 9, 17));
    }
}

void expect_as_sysfs_says(const Function& function) {
    SCOPED_TRACE(function.address.str());
    const auto folder = fs::canonical("/sys/bus/pci/devices/" + function.address.str());
    const auto above = folder.parent_path().filename().string();
    EXPECT_EQ(function.parent ? function.parent->str() : "pci",
              function.parent ? above : above.substr(0, 3));
    EXPECT_EQ(function.reset_method.str(), read_text(folder / "reset_method"));
    const auto config = read_text(folder / "config");
    const auto header = static_cast<unsigned char>(config.at(14));
    EXPECT_EQ(function.header_type, header & 0x7f);
    EXPECT_EQ(function.multifunction, (header & 0x80) != 0);
    EXPECT_EQ(fmt::format("0x{:04x}", function.subsystem_vendor),
              read_text(folder / "subsystem_vendor"));
    EXPECT_EQ(fmt::format("0x{:04x}", function.subsystem_device),
              read_text(folder / "subsystem_device"));
    EXPECT_EQ(fmt::format("0x{:06x}", function.class_code), read_text(folder / "class"));
    EXPECT_EQ(function.is_pf(), fs::exists(folder / "sriov_totalvfs"));
    EXPECT_EQ(function.is_vf(), fs::exists(folder / "physfn"));
    if (function.sriov) {
        EXPECT_EQ(std::to_string(function.sriov->total), read_text(folder / "sriov_totalvfs"));
        EXPECT_EQ(std::to_string(function.sriov->enabled), read_text(folder / "sriov_numvfs"));
        for (std::size_t i = 0; i < function.sriov->vfs.size(); ++i)
            EXPECT_EQ(function.sriov->vfs[i].str(),
                      fs::canonical(folder / fmt::format("virtfn{}", i)).filename());
    }
    if (function.physfn) {
        EXPECT_EQ(function.physfn->str(), fs::canonical(folder / "physfn").filename());
        ASSERT_TRUE(function.vf_index);
        EXPECT_EQ(function.address.str(),
                  fs::canonical(folder / "physfn" / fmt::format("virtfn{}", *function.vf_index))
                      .filename());
    }
    expect_same_netdevs(function, folder);
}

// VF BARs are a slice of the PF's each: what the kernel made of a VF is the proof.
void expect_vf_bars_of_pf(const std::vector<Function>& functions) {
    for (const Function& vf : functions) {
        if (!vf.is_vf()) continue;
        const auto pf = std::ranges::find(functions, *vf.physfn, &Function::address);
        auto expected = pf->sriov->vf_bars;
        for (Bar& bar : expected) bar.address += bar.size * *vf.vf_index;
        EXPECT_EQ(vf.bars, expected) << vf.address.str();
    }
}

void expect_truth(std::size_t vfs) {
    const auto root = SysRoot::host().value();
    Inventory inventory(root);
    std::vector<ReadProblem> problems;
    const auto functions = inventory.read_all(&problems).value();
    for (const ReadProblem& problem : problems) ADD_FAILURE() << problem.error.message();
    const auto records = test::run_lspci("");
    ASSERT_EQ(functions.size(), records.size());
    for (const Function& function : functions) {
        ASSERT_TRUE(records.contains(function.address));
        test::expect_same(function, records.at(function.address));
        expect_as_sysfs_says(function);
        EXPECT_EQ(inventory.read(function.address).value(), function);
    }
    expect_vf_bars_of_pf(functions);
    EXPECT_EQ(std::ranges::count_if(functions, &Function::is_vf), vfs);
}

class Truth : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_NE(std::getenv("VFB_VM"), nullptr) << "only inside the emulated machine";
        (void)run_command("modprobe -q igbvf");  // built into the full kernel
    }
    void TearDown() override { (void)remove_vfs(SysRoot::host().value(), kPf); }
};

TEST_F(Truth, WithoutVfs) {
    expect_truth(0);
}

TEST_F(Truth, WithVfs) {
    ASSERT_TRUE(create_vfs(SysRoot::host().value(), kPf, 7, 10s));
    expect_truth(7);
}

// With drivers of the kernel's own, and so netdevs of VFs, up and down.
TEST_F(Truth, WithVfsThatHaveNetdevs) {
    const auto folder = "/sys/bus/pci/devices/" + kPf.str();
    const auto pf = Inventory(SysRoot::host().value()).read(kPf).value().netdevs.at(0).name;
    ASSERT_EQ(run_command("ip link set " + pf + " up"), 0);
    ASSERT_EQ(run_command("echo 1 > " + folder + "/sriov_drivers_autoprobe"), 0);
    ASSERT_EQ(run_command("echo 2 > " + folder + "/sriov_numvfs"), 0);
    expect_truth(2);
    ASSERT_EQ(run_command("ip link set " + pf + " down"), 0);
    expect_truth(2);
}

TEST_F(Truth, KnowsThePermanentAddressOfANetdevThatWasGivenAnother) {
    const auto root = SysRoot::host().value();
    const auto before = Inventory(root).read(kPf).value().netdevs.at(0);
    EXPECT_EQ(before.mac, before.permanent_mac);
    ASSERT_EQ(run_command("ip link set " + before.name + " address 02:00:00:00:00:99"), 0);
    const auto after = Inventory(root).read(kPf).value().netdevs.at(0);
    EXPECT_EQ(after.mac, "02:00:00:00:00:99");
    EXPECT_EQ(after.permanent_mac, before.permanent_mac);
    expect_truth(0);
    ASSERT_EQ(run_command("ip link set " + before.name + " address " + before.mac), 0);
}

}  // namespace
}  // namespace vfb::pci
