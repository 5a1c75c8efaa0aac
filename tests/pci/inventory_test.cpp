// SPDX-License-Identifier: GPL-2.0-or-later
#include "pci/inventory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <thread>

#include "lspci.hpp"
#include "tree/faults.hpp"
#include "tree/host.hpp"

namespace vfb::pci {
namespace {

using test::expect_same;
using test::run_lspci;

// Written once for the tests that only read it.
class LargeHost : public testing::Test {
protected:
    static void SetUpTestSuite() {
        folder = new tree::TemporaryFolder(tree::TemporaryFolder::create().value());
        expected = new std::vector<Function>(tree::write_host(folder->path(), {}).value());
    }
    static void TearDownTestSuite() {
        delete expected;
        delete folder;
    }
    static SysRoot root() { return SysRoot::at(folder->path()).value(); }

    static tree::TemporaryFolder* folder;
    static std::vector<Function>* expected;
};
tree::TemporaryFolder* LargeHost::folder = nullptr;
std::vector<Function>* LargeHost::expected = nullptr;

TEST_F(LargeHost, IsReadAsItWasWritten) {
    const auto sys = root();
    std::vector<ReadProblem> problems;
    const auto functions = Inventory(sys, false).read_all(&problems).value();
    EXPECT_TRUE(problems.empty());
    ASSERT_EQ(functions.size(), 4096U);
    ASSERT_EQ(expected->size(), functions.size());
    for (std::size_t i = 0; i < functions.size(); ++i)
        ASSERT_EQ(functions[i], (*expected)[i]) << functions[i].address.str();
    EXPECT_EQ(std::ranges::count_if(functions, &Function::is_pf), 8);
    EXPECT_EQ(std::ranges::count_if(functions, &Function::is_vf), 2048);
    EXPECT_GT(std::ranges::count_if(functions, &Function::is_bridge), 100);
    EXPECT_GT(functions.back().address.domain, 0xffffU);
}

TEST_F(LargeHost, IsWhatLspciSays) {
    const auto sys = root();
    const auto functions = Inventory(sys).read_all().value();
    const auto records = run_lspci("-A linux-sysfs -O sysfs.path=" + sys.sys().path("bus/pci"));
    ASSERT_EQ(records.size(), functions.size());
    for (const Function& function : functions) {
        ASSERT_TRUE(records.contains(function.address)) << function.address.str();
        expect_same(function, records.at(function.address));
        if (HasFailure()) return;  // one is enough to look at
    }
    EXPECT_TRUE(std::ranges::any_of(functions, [](auto& f) { return f.device_name.empty(); }));
    EXPECT_TRUE(std::ranges::any_of(functions, [](auto& f) { return !f.slot.empty(); }));
}

TEST_F(LargeHost, GivesOneFunctionAsItGivesAll) {
    const auto sys = root();
    Inventory inventory(sys, false);
    for (std::size_t i = 0; i < expected->size(); i += 97) {
        const auto function = inventory.read((*expected)[i].address);
        ASSERT_TRUE(function) << function.error().message();
        EXPECT_EQ(*function, (*expected)[i]);
    }
    const auto none = inventory.read({.domain = 0x77, .bus = 1});
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Code::not_found);
    EXPECT_EQ(none.error().message(), "cannot read 0077:01:00.0: there is no such function");
}

TEST_F(LargeHost, IsTheSameForTheSameSeed) {
    const auto again = tree::plan_host({});
    const auto other = tree::plan_host({.seed = 2});
    ASSERT_EQ(again.size(), expected->size());
    std::map<Address, Function> by_address;
    for (const auto& spec : again) by_address.emplace(spec.function.address, spec.function);
    for (const Function& function : *expected) {
        auto planned = by_address.at(function.address);
        ASSERT_EQ(planned, function);
    }
    EXPECT_FALSE(std::ranges::equal(again, other, {}, &tree::FunctionSpec::function,
                                    &tree::FunctionSpec::function));
}

TEST(Inventory, TakesLittleMemory) {
    EXPECT_LE(sizeof(Bar), 24U);
    EXPECT_LE(sizeof(Function), 480U);
}

TEST(Inventory, SaysWhenThereIsNoPci) {
    const auto folder = tree::TemporaryFolder::create().value();
    for (const char* name : {"/sys", "/dev", "/proc"})
        std::filesystem::create_directory(folder.path() + name);
    const auto sys = SysRoot::at(folder.path()).value();
    const auto functions = Inventory(sys, false).read_all();
    ASSERT_FALSE(functions);
    EXPECT_EQ(functions.error().code, Code::unsupported);
}

// A small host whose functions are all of one kind of card, to break.
struct Small {
    explicit Small(tree::HostOptions options = {.functions = 70, .pfs = 1, .vfs = 16})
        : expected(tree::write_host(folder.path(), options).value()),
          root(SysRoot::at(folder.path()).value()) {}

    const Function& pick(auto predicate) const {
        return *std::ranges::find_if(expected, predicate);
    }
    [[nodiscard]] std::string path(const Address& address) const {
        return folder.path() + "/sys/bus/pci/devices/" + address.str();
    }

    tree::TemporaryFolder folder = tree::TemporaryFolder::create().value();
    std::vector<Function> expected;
    SysRoot root;
};

class Broken : public testing::TestWithParam<std::pair<tree::Fault, std::string_view>> {};

TEST_P(Broken, IsReportedAndHarmsNoOther) {
    Small host;
    const auto [fault, name] = GetParam();
    const auto victim = host.pick([](const Function& f) {
        return f.driver && f.pcie_type == 0 && !f.is_vf() && !f.is_pf() && f.numa_node &&
               !f.reset_method.empty();
    });
    ASSERT_TRUE(tree::break_function(host.folder.path(), victim.address, fault));
    std::vector<ReadProblem> problems;
    const auto functions = Inventory(host.root, false).read_all(&problems).value();
    for (const ReadProblem& problem : problems) {
        EXPECT_EQ(problem.address, victim.address) << problem.error.message();
        EXPECT_THAT(problem.error.message(), testing::HasSubstr(victim.address.str()));
    }
    EXPECT_EQ(!problems.empty(), tree::is_reported(fault));
    std::map<Address, Function> read;
    for (const Function& function : functions) read.emplace(function.address, function);
    EXPECT_EQ(read.contains(victim.address), fault != tree::Fault::dangling_link);
    EXPECT_EQ(read.size(), host.expected.size() - (fault == tree::Fault::dangling_link));
    for (const Function& function : host.expected) {
        if (function.address == victim.address) continue;
        EXPECT_EQ(read.at(function.address), function);
    }
    if (fault == tree::Fault::no_modalias) {
        EXPECT_EQ(read.at(victim.address), victim);
    }
    if (fault == tree::Fault::garbage_numa_node) {
        EXPECT_EQ(read.at(victim.address).numa_node, std::nullopt);
    }
    if (fault == tree::Fault::dead_config) {
        EXPECT_EQ(read.at(victim.address).header_type, 0);
        EXPECT_EQ(read.at(victim.address).revision, victim.revision);
    }
}

INSTANTIATE_TEST_SUITE_P(Inventory, Broken, testing::ValuesIn(tree::all_faults()),
                         [](const auto& test) { return std::string(test.param.second); });

// What a process without CAP_SYS_ADMIN gets of a PF.
TEST(Inventory, ReadsAPfFromSysfsWhereConfigurationSpaceIsShort) {
    Small host;
    const auto& pf = host.pick([](const Function& f) { return f.is_pf(); });
    ASSERT_TRUE(tree::break_function(host.folder.path(), pf.address, tree::Fault::header_config));
    const auto read = Inventory(host.root, false).read(pf.address).value();
    EXPECT_EQ(read.pcie_type, std::nullopt);
    ASSERT_TRUE(read.sriov);
    EXPECT_EQ(read.sriov->offset, pf.sriov->offset);
    EXPECT_EQ(read.sriov->vf_device, pf.sriov->vf_device);
    EXPECT_EQ(read.sriov->initial, std::nullopt);
    EXPECT_EQ(read.sriov->vfs, pf.sriov->vfs);
}

TEST(Inventory, LeavesOutAVfThatIsJustComingOrGoing) {
    Small host;
    const auto& vf = host.pick([](const Function& f) { return f.is_vf(); });
    std::filesystem::remove(host.path(vf.address) + "/physfn");
    std::vector<ReadProblem> problems;
    EXPECT_EQ(Inventory(host.root, false).read(vf.address, &problems).error().code,
              Code::not_found);
    const auto all = Inventory(host.root, false).read_all(&problems).value();
    EXPECT_EQ(all.size(), host.expected.size() - 1);
    EXPECT_TRUE(problems.empty());
}

TEST(Inventory, ReportsAVfThatItsPfDoesNotKnow) {
    Small host;
    const auto& vf = host.pick([](const Function& f) { return f.is_vf(); });
    std::filesystem::remove(host.path(*vf.physfn) + "/virtfn" + std::to_string(*vf.vf_index));
    std::vector<ReadProblem> problems;
    const auto all = Inventory(host.root, false).read_all(&problems).value();
    EXPECT_EQ(all.size(), host.expected.size());
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems.front().address, vf.address);
    // The others keep their numbers, which are not their places in the list.
    const auto& last =
        host.pick([&](const Function& f) { return f.physfn == vf.physfn && f.vf_index == 15; });
    EXPECT_EQ(Inventory(host.root, false).read(last.address).value().vf_index, 15);
}

// Functions go in the kernel's order, link first, while they are read: each is reported whole or
// not at all.
TEST(Inventory, NeverMisreportsFunctionsThatVanish) {
    for (unsigned round = 0; round < 3; ++round) {
        Small host({.seed = round, .functions = 600, .pfs = 1, .vfs = 64});
        std::map<Address, Function> expected;
        for (const Function& function : host.expected) expected.emplace(function.address, function);
        std::jthread remover([&] {
            for (const Function& function : host.expected) {
                // A PF that loses its VFs is another value; its links would have to go one by one.
                if (function.is_bridge() || function.is_pf() || function.is_vf()) continue;
                const auto target = std::filesystem::canonical(host.path(function.address));
                std::filesystem::remove(host.path(function.address));
                std::filesystem::remove_all(target);
            }
        });
        std::vector<ReadProblem> problems;
        std::size_t kept = 0;
        for (int pass = 0; pass < 4; ++pass) {
            const auto functions = Inventory(host.root, false).read_all(&problems).value();
            for (const Function& function : functions)
                ASSERT_EQ(function, expected.at(function.address));
            kept = functions.size();
        }
        EXPECT_LE(kept, expected.size());
        for (const ReadProblem& problem : problems) ADD_FAILURE() << problem.error.message();
    }
}

}  // namespace
}  // namespace vfb::pci
