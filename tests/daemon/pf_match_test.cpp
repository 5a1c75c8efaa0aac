// SPDX-License-Identifier: GPL-2.0-or-later
//
// Which function a PF of the configuration means: also when cards were moved or replaced, and when
// two tables mean one.
#include "pf_match.hpp"

#include <gmock/gmock.h>

namespace vfb::daemon {
namespace {

using testing::HasSubstr;
using testing::Not;

pci::Address at(std::uint8_t bus) {
    return {.domain = 0, .bus = bus, .device = 0, .function = 0};
}

class PfMatch : public testing::Test {
protected:
    PfMatch() {
        add(1, "52:54:00:00:00:01", "1");
        add(2, "52:54:00:00:00:02", "2");
    }
    pci::Function& add(std::uint8_t bus, const char* mac, const char* slot) {
        pci::Function function{.address = at(bus), .vendor = 0x8086, .device = 0x10c9};
        function.driver = "igb";
        function.slot = slot;
        function.netdevs = {{.name = "eth", .permanent_mac = mac}};
        function.sriov = pci::SrIov{.total = 7};
        return functions[at(bus)] = function;
    }
    // Of one table, or of several: their texts after `[pf.NAME]`.
    PfMatches match(const std::map<std::string, std::string>& tables) const {
        std::string text;
        for (const auto& [name, selectors] : tables)
            text += "[pf." + name + "]\nvfs = 2\n" + selectors + "\n";
        const auto config = broker::parse_config(text, "test.toml");
        EXPECT_TRUE(config) << config.error().message();
        return match_pfs(config->pfs, functions);
    }
    Result<pci::Address> match_one(const std::string& selectors) const {
        return match({{"uplink", selectors}}).at("uplink");
    }
    iommu::Functions functions;
};

TEST_F(PfMatch, ByAnySelector) {
    for (const char* selector :
         {"address = '0000:02:00.0'", "slot = '2'", "mac = '52:54:00:00:00:02'",
          "address = '02:00.0'\ndriver = 'igb'", "slot = '2'\nvendor = '8086'\ndevice = '10c9'"}) {
        const auto found = match_one(selector);
        ASSERT_TRUE(found) << selector << ": " << found.error().message();
        EXPECT_EQ(*found, at(2));
    }
}

TEST_F(PfMatch, ItsMacFollowsACardThatWasMoved) {
    functions.erase(at(2));
    add(7, "52:54:00:00:00:02", "7");
    EXPECT_EQ(match_one("mac = '52:54:00:00:00:02'").value(), at(7));
}

TEST_F(PfMatch, ACardThatWasMovedIsRefusedWhereItsPlaceIsNamed) {
    functions.erase(at(2));
    add(7, "52:54:00:00:00:02", "7");
    const auto refused = match_one("address = '0000:02:00.0'\nmac = '52:54:00:00:00:02'");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::not_found);
    EXPECT_EQ(refused.error().message(),
              "cannot find PF uplink (address 0000:02:00.0, mac 52:54:00:00:00:02): no function of "
              "this machine matches all of it: 0000:07:00.0 has address 0000:07:00.0");
    EXPECT_EQ(refused.error().hint,
              "a card was moved or replaced? correct the selectors at test.toml:1:1");
}

TEST_F(PfMatch, AnotherCardInItsPlaceIsRefused) {
    add(2, "52:54:00:00:00:99", "2").driver.reset();
    const auto refused =
        match_one("address = '0000:02:00.0'\nmac = '52:54:00:00:00:02'\ndriver = 'igb'");
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(),
                HasSubstr("0000:02:00.0 has mac 52:54:00:00:00:99, no driver"));
    EXPECT_THAT(refused.error().message(), Not(HasSubstr("0000:01:00.0")));
}

TEST_F(PfMatch, NoneSeveralAndWithoutSriov) {
    EXPECT_THAT(match_one("address = '0000:09:00.0'").error().message(),
                HasSubstr("no function of this machine matches"));
    const auto several = match_one("driver = 'igb'");
    EXPECT_EQ(several.error().code, Code::invalid);
    EXPECT_THAT(several.error().message(),
                HasSubstr("2 functions match: 0000:01:00.0, 0000:02:00.0"));
    functions.at(at(1)).sriov.reset();
    EXPECT_EQ(match_one("slot = '1'").error().code, Code::unsupported);
}

TEST_F(PfMatch, WhatTwoTablesMeanNeitherGets) {
    const auto matches = match({{"lan", "mac = '52:54:00:00:00:01'"},
                                {"other", "slot = '2'"},
                                {"uplink", "address = '0000:01:00.0'"}});
    EXPECT_EQ(matches.at("other").value(), at(2));
    ASSERT_FALSE(matches.at("lan"));
    ASSERT_FALSE(matches.at("uplink"));
    EXPECT_EQ(matches.at("uplink").error().code, Code::invalid);
    EXPECT_EQ(matches.at("uplink").error().message(),
              "cannot find PF uplink (address 0000:01:00.0): 0000:01:00.0 is what PF lan (mac "
              "52:54:00:00:00:01) at test.toml:1:1 means, too");
}

TEST_F(PfMatch, APfIsNoOtherFunctionWhileItIsThere) {
    const auto config = broker::parse_config("[pf.uplink]\nvfs = 2\naddress = '02:00.0'", "a.toml");
    ASSERT_TRUE(config);
    const broker::PfConfig& pf = config->pfs.front();
    EXPECT_EQ(stay(pf, std::nullopt, at(2)).value(), at(2));
    EXPECT_EQ(stay(pf, at(2), at(2)).value(), at(2));
    const auto refused = stay(pf, at(1), at(2));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message(),
              "cannot use 0000:02:00.0 as PF uplink: PF uplink was 0000:01:00.0, and its selectors "
              "mean 0000:02:00.0 now");
    EXPECT_THAT(refused.error().hint,
                HasSubstr("with another name, in place of the one at a.toml:"));
    const auto none = fail(Code::not_found, "find it", "uplink", "nothing matches");
    EXPECT_EQ(stay(pf, at(1), none).error().message(), "cannot find it: nothing matches");
}

}  // namespace
}  // namespace vfb::daemon
