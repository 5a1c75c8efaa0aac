// SPDX-License-Identifier: GPL-2.0-or-later
//
// Configuration files as they lie in a directory, and the system's accounts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "broker/config.hpp"

namespace vfb::broker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ConfigDirectory : public testing::Test {
protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "vfbroker-config-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        path_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(path_); }
    void file(const std::string& name, const std::string& text) {
        std::ofstream(path_ + "/" + name) << text;
    }
    Result<Config> load() { return load_config(path_); }
    std::string path_;
};

TEST_F(ConfigDirectory, MissingOrEmptyIsNothing) {
    EXPECT_TRUE(load_config(path_ + "/nowhere").value().files.empty());
    EXPECT_TRUE(load().value().files.empty());
    file("README", "not [toml");
    file(".hidden.toml", "not [toml");
    file("a.toml~", "not [toml");
    EXPECT_TRUE(load().value().files.empty());
}

TEST_F(ConfigDirectory, KnowsTheGroupOfAdministrators) {
    class Accounts final : public AccountResolver {
    public:
        explicit Accounts(Result<std::optional<gid_t>> group) : group_(std::move(group)) {}
        [[nodiscard]] Result<std::optional<uid_t>> uid_of(const std::string&) const override {
            return std::nullopt;
        }
        [[nodiscard]] Result<std::optional<gid_t>> gid_of(const std::string& name) const override {
            EXPECT_EQ(name, "vfbroker-admin");
            return group_;
        }

    private:
        Result<std::optional<gid_t>> group_;
    };
    EXPECT_EQ(load_config(path_, Accounts(std::optional<gid_t>(77)))->administrators, 77U);
    EXPECT_EQ(load_config(path_, Accounts(std::nullopt))->administrators, std::nullopt);
    const auto down = fail(Code::failed, "look up the account", {}, "the directory is down");
    EXPECT_EQ(load_config(path_, Accounts(down))->administrators, std::nullopt);
}

TEST_F(ConfigDirectory, MergesInOrderOfName) {
    file("20-pools.toml", "[pool.a]\npf = 'u'\n");
    file("10-pfs.toml", "[pf.u]\nslot = '1'\nvfs = 2\n");
    const auto config = load();
    ASSERT_TRUE(config) << config.error().message();
    EXPECT_THAT(config->files, ElementsAre(path_ + "/10-pfs.toml", path_ + "/20-pools.toml"));
    EXPECT_EQ(config->pools.size(), 1U);
    EXPECT_EQ(config->pools[0].location.str(), path_ + "/20-pools.toml:1:1");
}

TEST_F(ConfigDirectory, RefusesTheSameNameTwice) {
    file("a.toml", "[pf.u]\nslot = '1'\nvfs = 2\n[pool.p]\npf = 'u'\n");
    file("b.toml", "\n[pf.u]\nslot = '2'\nvfs = 2\n[pool.p]\npf = 'u'\n");
    const auto config = load();
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().operation, "read the configuration " + path_ + "/b.toml:2:1");
    EXPECT_EQ(config.error().reason,
              "[pf.u] is defined twice, the first time at " + path_ + "/a.toml:1:1");
    ASSERT_NE(config.error().cause, nullptr);
    EXPECT_THAT(config.error().cause->reason, HasSubstr("[pool.p] is defined twice"));
}

TEST_F(ConfigDirectory, OtherTextsForFiles) {
    file("a.toml", "[pf.u]\nslot = '1'\nvfs = 2\n");
    file("b.toml", "not [toml");
    const auto config = load_config(path_, {{"a.toml", "[pf.v]\nslot = '1'\nvfs = 2\n"},
                                            {path_ + "/b.toml", std::nullopt},
                                            {"c.toml", "[pool.p]\npf = 'v'\n"}});
    ASSERT_TRUE(config) << config.error().message();
    EXPECT_THAT(config->files, ElementsAre(path_ + "/a.toml", path_ + "/c.toml"));
    ASSERT_EQ(config->pfs.size(), 1U);
    EXPECT_EQ(config->pfs[0].name, "v");
    // What is in the files stays there.
    EXPECT_FALSE(load());
}

TEST_F(ConfigDirectory, OtherTextsAreCheckedAsFilesAre) {
    const auto config = load_config(path_, {{"a.toml", "[pf.u]\nslots = '1'\nvfs = 2\n"}});
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().operation, "read the configuration " + path_ + "/a.toml:2:1");
}

TEST_F(ConfigDirectory, OtherTextsOfWhatIsNoFileOfIt) {
    for (const std::string name : {"/elsewhere/a.toml", "../a.toml", "sub/a.toml", ".a.toml",
                                   "a.conf", "", "/", "a.toml/"}) {
        const auto config = load_config(path_, {{name, ""}});
        ASSERT_FALSE(config) << name;
        EXPECT_EQ(config.error().code, Code::invalid);
        EXPECT_THAT(config.error().message(), HasSubstr("no such file is read"));
    }
    EXPECT_TRUE(load_config(path_ + "/nowhere", {{"a.toml", ""}}));
}

TEST_F(ConfigDirectory, AnUnreadableFileIsAnError) {
    std::filesystem::create_directory(path_ + "/x.toml");
    const auto config = load();
    ASSERT_FALSE(config);
    EXPECT_THAT(config.error().message(), HasSubstr(path_ + "/x.toml"));
}

class Everybody : public AccountResolver {
public:
    Result<std::optional<uid_t>> uid_of(const std::string&) const override { return 1000; }
    Result<std::optional<gid_t>> gid_of(const std::string&) const override { return 1000; }
};

TEST(ManPage, HasExamplesThatAreRight) {
    std::ifstream page(VFB_MAN_PAGE);
    std::string example;
    bool inside = false;
    int examples = 0;
    for (std::string line; std::getline(page, line);) {
        if (line != "```") {
            if (inside) example += line + "\n";
            continue;
        }
        inside = !inside;
        if (inside) continue;
        const auto config = parse_config(example, "example.toml", Everybody());
        EXPECT_TRUE(config) << config.error().message() << "\n" << example;
        EXPECT_FALSE(config->pools.empty());
        ++examples;
        example.clear();
    }
    EXPECT_EQ(examples, 3);
}

// What the package puts into /etc/vfbroker: nothing, until the "#" before a key or a table is gone.
TEST(Sample, IsRightWithAndWithoutItsComments) {
    std::ifstream sample(VFB_SAMPLE);
    ASSERT_TRUE(sample);
    std::string as_it_is;
    std::string uncommented;
    for (std::string line; std::getline(sample, line);) {
        as_it_is += line + "\n";
        const bool comment = line.empty() || line == "#" || line.starts_with("# ");
        uncommented += (comment ? line : line.substr(1)) + "\n";
    }
    const auto nothing = parse_config(as_it_is, "vfbroker.toml", Everybody());
    ASSERT_TRUE(nothing) << nothing.error().message();
    EXPECT_TRUE(nothing->pfs.empty() && nothing->pools.empty());
    const auto config = parse_config(uncommented, "vfbroker.toml", Everybody());
    ASSERT_TRUE(config) << config.error().message();
    EXPECT_NE(config->find_pf("uplink"), nullptr);
    ASSERT_NE(config->find_pool("guests"), nullptr);
    EXPECT_EQ(config->find_pool("guests")->attributes.vlan, 100);
    EXPECT_FALSE(config->find_pool("guests")->tenant_limits.empty());
}

TEST(SystemAccounts, KnowsRoot) {
    EXPECT_EQ(system_accounts().uid_of("root").value(), 0U);
    EXPECT_EQ(system_accounts().gid_of("root").value(), 0U);
    EXPECT_EQ(system_accounts().uid_of("no such user").value(), std::nullopt);
    EXPECT_EQ(system_accounts().gid_of("").value(), std::nullopt);
    EXPECT_TRUE(parse_config("", "x.toml"));
}

}  // namespace
}  // namespace vfb::broker
