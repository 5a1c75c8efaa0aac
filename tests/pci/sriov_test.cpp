// SPDX-License-Identifier: GPL-2.0-or-later
//
// What is decided before the kernel is asked; the rest is in vm_pci_test.
#include "pci/sriov.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "tree/host.hpp"

namespace vfb::pci {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class Sriov : public testing::Test {
protected:
    // Two PFs: one with its VFs, one without.
    void SetUp() override {
        auto tree = tree::Tree::create(folder.path()).value();
        auto specs = tree::plan_host({.functions = 40, .pfs = 2, .vfs = 8});
        for (auto& spec : specs) {
            auto& function = spec.function;
            if (function.is_pf() && with) {
                without = function.address;
                function.sriov->vfs.clear();
                function.sriov->enabled = 0;
            } else if (function.is_pf()) {
                with = function.address;
                expected = function.sriov->vfs;
            }
            if (without && function.physfn == without) continue;
            ASSERT_TRUE(tree.add(spec));
        }
    }
    std::string read(const Address& address, const std::string& attribute) {
        return root().sys().read("bus/pci/devices/" + address.str() + "/" + attribute).value();
    }
    SysRoot root() { return SysRoot::at(folder.path()).value(); }

    tree::TemporaryFolder folder = tree::TemporaryFolder::create().value();
    std::optional<Address> with;
    std::optional<Address> without;
    std::vector<Address> expected;
};

TEST_F(Sriov, ListsInOrderOfIndex) {
    EXPECT_EQ(list_vfs(root(), *with).value(), expected);
    EXPECT_TRUE(list_vfs(root(), *without).value().empty());
    EXPECT_EQ(list_vfs(root(), Address{.bus = 0xee}).error().code, Code::not_found);
}

TEST_F(Sriov, RefusesWhatCannotBe) {
    const auto busy = create_vfs(root(), *with, 4, 1s).error();
    EXPECT_EQ(busy.code, Code::busy);
    EXPECT_THAT(busy.message(), HasSubstr("it has 8 already"));
    EXPECT_EQ(create_vfs(root(), *without, 9, 1s).error().code, Code::invalid);
    EXPECT_EQ(create_vfs(root(), *without, 0, 1s).error().code, Code::invalid);
    const auto vf = create_vfs(root(), expected.front(), 1, 1s).error();
    EXPECT_EQ(vf.code, Code::unsupported);
    EXPECT_THAT(vf.message(), HasSubstr("no SR-IOV capability"));
    EXPECT_EQ(create_vfs(root(), Address{.bus = 0xee}, 1, 1s).error().code, Code::not_found);
    EXPECT_EQ(read(*without, "sriov_numvfs"), "0");
    EXPECT_EQ(read(*without, "sriov_drivers_autoprobe"), "1");
}

TEST_F(Sriov, GivesMsixVectorsWhereTheDriverCan) {
    const auto& vf = expected.front();
    const auto folder_of_vf = folder.path() + "/sys/bus/pci/devices/" + vf.str();
    const auto without_file = set_msix_vectors(root(), *with, vf, 16);
    ASSERT_FALSE(without_file);
    EXPECT_EQ(without_file.error().code, Code::unsupported);
    EXPECT_THAT(without_file.error().message(),
                HasSubstr("cannot give " + vf.str() + " 16 MSI-X vectors: not supported by "));
    std::ofstream(folder_of_vf + "/sriov_vf_msix_count") << "";
    ASSERT_TRUE(set_msix_vectors(root(), *with, vf, 16));
    EXPECT_EQ(read(vf, "sriov_vf_msix_count"), "16");
}

// Nobody answers to the write here, so the VFs never come.
TEST_F(Sriov, PutsEverythingBackWhenTheVfsDoNotCome) {
    const auto error = create_vfs(root(), *without, 8, 50ms).error();
    EXPECT_EQ(error.code, Code::timeout);
    EXPECT_THAT(error.message(), HasSubstr("only 0 came in 50 ms"));
    EXPECT_EQ(read(*without, "sriov_numvfs"), "0");
    EXPECT_EQ(read(*without, "sriov_drivers_autoprobe"), "1");
}

TEST_F(Sriov, RemovesNothingWhereNothingIs) {
    EXPECT_TRUE(remove_vfs(root(), *without));
    const auto error = remove_vfs(root(), *with).error();  // the links stay: no kernel
    EXPECT_THAT(error.message(), HasSubstr("8 of them are still there"));
}

}  // namespace
}  // namespace vfb::pci
