// SPDX-License-Identifier: GPL-2.0-or-later
#include "config_check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "config_state.hpp"
#include "tree/host.hpp"

namespace vfb::daemon {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class ConfigCheckTest : public testing::Test {
protected:
    static void SetUpTestSuite() {
        std::string pattern = testing::TempDir() + "vfbroker-check-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        path = pattern;
        const auto functions =
            tree::write_host(path + "/root", {.seed = 1, .functions = 64, .pfs = 1, .vfs = 4});
        ASSERT_TRUE(functions) << functions.error().message();
        const auto pf = std::ranges::find_if(*functions, &pci::Function::is_pf);
        ASSERT_NE(pf, functions->end());
        address = pf->address.str();
        total = pf->sriov->total;
        std::filesystem::create_directory(path + "/etc");
    }
    static void TearDownTestSuite() { std::filesystem::remove_all(path); }

    static ConfigReport check(const std::string& text) {
        std::ofstream(path + "/etc/vfbroker.toml") << text;
        return check_directory(path + "/etc", true, *SysRoot::at(path + "/root"));
    }
    static std::string pf(const std::string& where, unsigned vfs) {
        return "[pf.uplink]\naddress = '" + where + "'\nvfs = " + std::to_string(vfs) + "\n";
    }

    static inline std::string path;
    static inline std::string address;
    static inline unsigned total = 0;
};

TEST_F(ConfigCheckTest, NothingIsWrong) {
    const auto report = check(pf(address, total));
    EXPECT_THAT(report.problems, IsEmpty());
    EXPECT_THAT(report.notes, IsEmpty());
    EXPECT_EQ(to_text(report), path + "/etc: 1 file, no mistake\n");
}

TEST_F(ConfigCheckTest, WhatThisMachineCannotDo) {
    const auto report = check(pf(address, total + 1));
    ASSERT_EQ(report.problems.size(), 1U);
    EXPECT_EQ(report.problems[0].where.line, 3U);
    EXPECT_THAT(report.problems[0].text, HasSubstr("at most " + std::to_string(total)));
}

// The configuration may be another machine's.
TEST_F(ConfigCheckTest, APfThatIsNotHereIsANote) {
    const auto report = check(pf("ffff:01:00.0", 4));
    EXPECT_THAT(report.problems, IsEmpty());
    ASSERT_EQ(report.notes.size(), 1U);
    EXPECT_THAT(to_text(report), HasSubstr("/vfbroker.toml:1:1: note: cannot find PF uplink"));
}

TEST_F(ConfigCheckTest, EachMistakeIsAParagraphAndAnEntry) {
    const auto report = check("[pf.uplink]\nnum_vfs = 4\n\n[pool.p]\ndrift = 'x'\npf = 'uplink'\n");
    EXPECT_EQ(to_text(report), path +
                                   "/etc/vfbroker.toml:2:1: unknown key 'num_vfs' in "
                                   "[pf.uplink]\nhint: did you mean 'vfs'?\n\n" +
                                   path +
                                   "/etc/vfbroker.toml:5:9: 'drift' in [pool.p]: 'x' is not "
                                   "one of report, repair\n\n" +
                                   path + "/etc: 1 file, 2 mistakes\n");
    const auto json = to_json(report);
    ASSERT_EQ(json["problems"].size(), 2U);
    EXPECT_EQ(json["problems"][0], (proto::Json{{"file", path + "/etc/vfbroker.toml"},
                                                {"line", 2},
                                                {"column", 1},
                                                {"message", "unknown key 'num_vfs' in [pf.uplink]"},
                                                {"hint", "did you mean 'vfs'?"}}));
}

TEST_F(ConfigCheckTest, AFolderThatIsNotThere) {
    const auto root = SysRoot::at(path + "/root");
    EXPECT_EQ(check_directory(path + "/none", true, *root).problems.size(), 1U);
    const auto report = check_directory(path + "/none", false, *root);
    EXPECT_THAT(report.problems, IsEmpty());
    EXPECT_EQ(report.notes.size(), 1U);
    EXPECT_FALSE(to_json(report)["notes"][0].contains("line"));
}

TEST(ConfigState, TellsAllFaults) {
    ConfigState state;
    EXPECT_EQ(to_json(state),
              (proto::Json{{"inForce", "files"}, {"faults", proto::Json::array()}}));
    const auto config =
        broker::parse_config("[pf.u]\nnum_vfs = 4\n[pool.p]\npfs = 'u'\n", "x.toml");
    ASSERT_FALSE(config);
    state.in_force = ConfigState::InForce::none;
    state.fault = config.error();
    const auto json = to_json(state);
    EXPECT_EQ(json["inForce"], "none");
    ASSERT_EQ(json["faults"].size(), 2U);
    EXPECT_EQ(json["faults"][1], (proto::Json{{"place", "x.toml:4:1"},
                                              {"message", "unknown key 'pfs' in [pool.p]"},
                                              {"hint", "did you mean 'pf'?"}}));
}

}  // namespace
}  // namespace vfb::daemon
