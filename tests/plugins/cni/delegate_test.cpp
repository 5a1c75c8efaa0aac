// SPDX-License-Identifier: GPL-2.0-or-later
//
// Against real programs, written for each test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "ipam.hpp"

namespace vfb::cni {
namespace {

using testing::HasSubstr;

class DelegateTest : public testing::Test {
protected:
    void SetUp() override {
        folder_ = std::filesystem::path(testing::TempDir()) /
                  testing::UnitTest::GetInstance()->current_test_info()->name();
        std::filesystem::create_directories(folder_);
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    [[nodiscard]] Environment environment() const {
        Environment environment;
        environment.path = "/nonexistent::" + folder_.string();
        return environment;
    }
    Outcome<proto::Json> run(const std::string& script, const std::string& text = "{}") {
        const auto file = folder_ / "ipam";
        std::ofstream(file) << "#!/bin/sh\n" << script;
        std::filesystem::permissions(file, std::filesystem::perms::owner_all);
        Config config;
        config.text = text;
        return delegate("ipam", "ADD", environment(), config);
    }

    std::filesystem::path folder_;
};

TEST_F(DelegateTest, GetsTheConfigurationAndTheCommand) {
    const auto said = run(R"(printf '{"command":"%s","input":' "$CNI_COMMAND"; cat; echo '}')",
                          R"({"name":"net"})");
    ASSERT_TRUE(said) << said.error().msg;
    EXPECT_EQ((*said)["command"], "ADD");
    EXPECT_EQ((*said)["input"]["name"], "net");
}

TEST_F(DelegateTest, NothingPrintedIsNull) {
    const auto said = run("exit 0\n");
    ASSERT_TRUE(said) << said.error().msg;
    EXPECT_TRUE(said->is_null());
}

TEST_F(DelegateTest, LongInputAndOutputPass) {
    // More than a pipe holds.
    const std::string text = "{\"a\":\"" + std::string(300000, 'x') + "\"}";
    const auto said = run("cat\n", text);
    ASSERT_TRUE(said) << said.error().msg;
    EXPECT_EQ((*said)["a"].get<std::string>().size(), 300000U);
}

TEST_F(DelegateTest, ItsOwnFailureIsPassedOn) {
    const auto said = run(R"(echo '{"code":42,"msg":"no address left","details":"add"}'; exit 1)");
    ASSERT_FALSE(said);
    EXPECT_EQ(said.error().code, 42);
    EXPECT_THAT(said.error().msg, HasSubstr("no address left"));
    EXPECT_EQ(said.error().details, "add");
}

TEST_F(DelegateTest, OtherFailuresAreTold) {
    const auto mute = run("echo oops; exit 3\n");
    ASSERT_FALSE(mute);
    EXPECT_EQ(mute.error().code, kIo);
    EXPECT_THAT(mute.error().msg, HasSubstr("exit status 3"));
    EXPECT_THAT(mute.error().msg, HasSubstr("oops"));
    EXPECT_THAT(run("kill -9 $$\n").error().msg, HasSubstr("signal 9"));
}

TEST_F(DelegateTest, APluginThatIsNowhereIsNamed) {
    const auto said = delegate("absent", "ADD", environment(), {});
    ASSERT_FALSE(said);
    EXPECT_EQ(said.error().code, kInvalidEnvironment);
    EXPECT_THAT(said.error().msg, HasSubstr("absent"));
    EXPECT_THAT(said.error().details, HasSubstr("containernetworking-plugins"));
}

}  // namespace
}  // namespace vfb::cni
