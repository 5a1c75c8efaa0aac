// SPDX-License-Identifier: GPL-2.0-or-later
//
// Configuration files as they lie in a directory, and the system's accounts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "broker/config.hpp"

namespace vfb::broker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;

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
    EXPECT_THAT(config->files,
                ElementsAre(Key(path_ + "/10-pfs.toml"), Key(path_ + "/20-pools.toml")));
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
    EXPECT_THAT(config->files, ElementsAre(Key(path_ + "/a.toml"), Key(path_ + "/c.toml")));
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

// What is wrong with it, as `FILE:LINE:COLUMN: text`, without the folder.
std::vector<std::string> problems(const std::string& directory) {
    std::vector<std::string> all;
    for (const auto& problem : check_config(directory).problems) {
        auto place = problem.where.str();
        if (place.starts_with(directory + "/")) place.erase(0, directory.size() + 1);
        all.push_back(place + ": " + problem.text);
    }
    return all;
}

TEST_F(ConfigDirectory, WhatIsNoFileIsAProblemAndWaitedForByNobody) {
    std::filesystem::create_directory(path_ + "/folder.toml");
    ASSERT_EQ(::mkfifo((path_ + "/pipe.toml").c_str(), 0600), 0);
    std::filesystem::create_symlink("/nowhere", path_ + "/link.toml");
    file("ok.toml", "");
    EXPECT_THAT(problems(path_),
                ElementsAre("folder.toml: it is a folder, and no file",
                            "link.toml: cannot open it: No such file or directory",
                            "pipe.toml: it is a pipe, a socket or a device, and no file"));
    EXPECT_EQ(load().error().operation, "read the configuration " + path_ + "/folder.toml");
}

TEST_F(ConfigDirectory, AFileInPlaceOfItIsAProblem) {
    file("a.toml", "");
    EXPECT_THAT(problems(path_ + "/a.toml"),
                ElementsAre(path_ + "/a.toml: cannot open it: Not a directory"));
}

TEST_F(ConfigDirectory, AHugeFileIsNotRead) {
    file("huge.toml", "# all of it\n");
    std::filesystem::resize_file(path_ + "/huge.toml", std::uintmax_t{100} << 20);
    file("large.toml", "# " + std::string(kLargestFile - 2, 'x'));
    EXPECT_THAT(problems(path_), ElementsAre("huge.toml: it is larger than 1024 KiB, which no "
                                             "configuration is"));
}

TEST_F(ConfigDirectory, LineEndsAndByteOrderMarksOfOtherSystems) {
    file("a.toml", "\xef\xbb\xbf[pf.u]\r\nslot = '1'\r\nvfs = 2\r\n\r\n[pool.p]\r\npf = 'u'\r\n");
    const auto config = load();
    ASSERT_TRUE(config) << config.error().message();
    EXPECT_EQ(config->pools[0].location.line, 5U);
    file("b.toml", "\xef\xbb\xbf[pool.q]\r\npfs = 'u'\r\n");
    EXPECT_THAT(problems(path_), ElementsAre("b.toml:2:1: unknown key 'pfs' in [pool.q]"));
}

TEST_F(ConfigDirectory, BytesThatAreNoText) {
    file("a.toml", "[pf.u]\nslot = '1'\nvfs = 2\n# \xff\xfe\n");
    ASSERT_EQ(problems(path_).size(), 1U);
    EXPECT_THAT(problems(path_)[0], testing::StartsWith("a.toml:4:"));
    EXPECT_THAT(problems(path_)[0], HasSubstr("utf-8"));
}

// TOML ends at its first mistake.
TEST_F(ConfigDirectory, AllMistakesOfAllFilesAreTold) {
    file("a.toml",
         "[pf.u]\nslot = = '1'\nvfs = 2\n[pf.v]\nslot = '2'\nnum_vfs = 2\n"
         "[pool.p]\npf = 'u\nvfs = '0'\n[pool.q]\npf = 'v'\ndriver = 'a/b'\n");
    file("b.toml", "[pf.w]\nslot = '3'\nvfs = 99999\n");
    std::vector<std::string> places;
    for (const auto& text : problems(path_)) places.push_back(text.substr(0, text.find(": ")));
    EXPECT_THAT(places, ElementsAre("a.toml:2:8", "a.toml:6:1", "a.toml:8:8", "a.toml:12:10",
                                    "b.toml:3:7"));
}

TEST_F(ConfigDirectory, AStringWithoutEndIsToldOnce) {
    file("a.toml", "[pf.u]\nslot = \"\"\"1\nvfs = 2\n[pf.v]\nslot = '2'\nvfs = 2\n");
    EXPECT_EQ(problems(path_).size(), 1U);
}

TEST_F(ConfigDirectory, OnlyMistakesAndNothingElseMayBeThere) {
    file("a.toml", "]\n");
    EXPECT_EQ(problems(path_).size(), 1U);
    file("a.toml", std::string("[pf.u]\nslot = '1'\0\nvfs = 2\n", 26));
    EXPECT_EQ(problems(path_).size(), 1U);
}

// Of the one unknown key that the text has.
std::string hint_of(const std::string& text) {
    const auto config = parse_config(text, "x.toml");
    EXPECT_FALSE(config) << text;
    return config ? "" : config.error().hint;
}

TEST(NearMisses, AreSuggested) {
    const std::string pf = "[pf.u]\nslot = '1'\n";
    EXPECT_EQ(hint_of(pf + "num_vfs = 4\n"), "did you mean 'vfs'?");
    EXPECT_EQ(hint_of(pf + "sriov_numvfs = 4\n"), "did you mean 'vfs'?");
    EXPECT_EQ(hint_of(pf + "vsf = 4\n"), "did you mean 'vfs'?");
    EXPECT_EQ(hint_of(pf + "vfs = 4\nLink-Up = true\n"), "did you mean 'link_up'?");
    EXPECT_EQ(hint_of(pf + "vfs = 4\nvlan = 4\n"), "it stands in a table [pool.NAME.attributes]");
    const std::string pool = pf + "vfs = 4\n[pool.p]\n";
    EXPECT_EQ(hint_of(pool + "pfs = 'u'\n"), "did you mean 'pf'?");
    EXPECT_EQ(hint_of(pool + "pf = 'u'\nvlan_id = 5\n"),
              "did you mean 'vlan' in a table [pool.p.attributes]?");
    EXPECT_EQ(hint_of(pool + "pf = 'u'\nmtu = 5\n"), "it stands in a table [pf.NAME]");
    EXPECT_EQ(hint_of(pool + "pf = 'u'\n[pool.p.attributes]\nvlan_id = 5\n"),
              "did you mean 'vlan'?");
    EXPECT_EQ(hint_of(pool + "pf = 'u'\n[pool.p.attributes]\ndrift = 'repair'\n"),
              "it stands in a table [pool.p]");
    EXPECT_EQ(hint_of("[pfs.u]\nslot = '1'\n"), "did you mean 'pf'?");
    EXPECT_EQ(hint_of("vfs = 4\n"), "it stands in a table [pf.NAME]");
    EXPECT_EQ(hint_of(pf + "vfs = 4\nelephants = 4\n"), "");
}

TEST(TwoTablesWithOnePf, AreFoundWithoutTheMachine) {
    const auto refused = [](const std::string& one, const std::string& other) {
        return !parse_config("[pf.a]\nvfs = 2\n" + one + "\n[pf.b]\nvfs = 2\n" + other + "\n",
                             "x.toml");
    };
    const std::string mac = "mac = '52:54:00:00:00:01'";
    EXPECT_TRUE(refused("address = '0000:01:00.0'", "address = '0000:01:00.0'\ndriver = 'igb'"));
    EXPECT_TRUE(refused(mac, mac + "\ndriver = 'igb'"));
    EXPECT_TRUE(refused(mac, mac + "\naddress = '0000:01:00.0'"));
    EXPECT_FALSE(refused(mac + "\naddress = '0000:01:00.1'", mac + "\naddress = '0000:01:00.0'"));
    // A slot can have several functions, a driver many.
    EXPECT_FALSE(refused("slot = '1'", "slot = '1'\nvendor = '8086'"));
    EXPECT_FALSE(refused("driver = 'igb'", "driver = 'igb'\nslot = '1'"));
}

TEST(Places, AreThoseOfTheKeys) {
    const auto config = parse_config(
        "[pf.u]\nslot = '1'\nvfs = 2\n[pool.p]\npf = 'u'\n"
        "[pool.p.attributes]\nvlan = 5\n",
        "x.toml");
    ASSERT_TRUE(config);
    EXPECT_EQ(config->pfs[0].place_of("vfs").str(), "x.toml:3:7");
    EXPECT_EQ(config->pfs[0].place_of("mtu").str(), "x.toml:1:1");
    EXPECT_EQ(config->pools[0].place_of("attributes.vlan").str(), "x.toml:7:8");
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
