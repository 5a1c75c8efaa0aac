// SPDX-License-Identifier: GPL-2.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "nic/vf_attributes.hpp"

namespace vfb::nic {
namespace {

using testing::HasSubstr;

TEST(MacAddress, ParsesAndPrints) {
    const auto mac = MacAddress::parse("52:54:00:aB:Cd:0F");
    ASSERT_TRUE(mac);
    EXPECT_EQ(mac->bytes, (std::array<std::uint8_t, 6>{0x52, 0x54, 0x00, 0xab, 0xcd, 0x0f}));
    EXPECT_EQ(mac->str(), "52:54:00:ab:cd:0f");
    EXPECT_EQ(*MacAddress::parse(mac->str()), *mac);
}

TEST(MacAddress, RefusesEverythingElse) {
    using namespace std::string_view_literals;
    for (const auto text :
         {""sv, "52"sv, "52:54:00:12:34"sv, "52:54:00:12:34:56:78"sv, "52-54-00-12-34-56"sv,
          "525400123456"sv, "5254.0012.3456"sv, " 52:54:00:12:34:56"sv, "52:54:00:12:34:56 "sv,
          "52:54:00:12:34:5g"sv, "+2:54:00:12:34:56"sv, "52:54:00:12:34:5"sv,
          "52:54:00:12:34:5\0"sv, "52:54:00:12:34:56\n"sv, "0x:54:00:12:34:56"sv,
          "52:54:00:12:34;56"sv, "٥2:54:00:12:34:5"sv, ":::::::::::::::::"sv}) {
        const auto mac = MacAddress::parse(text);
        ASSERT_FALSE(mac) << text;
        EXPECT_EQ(mac.error().code, Code::invalid);
    }
}

TEST(MacAddress, ErrorsAreSafeToPrint) {
    const auto mac = MacAddress::parse("\x1b[31m\n" + std::string(1'000'000, 'x'));
    ASSERT_FALSE(mac);
    EXPECT_LT(mac.error().message().size(), 300U);
    EXPECT_EQ(mac.error().message().find('\x1b'), std::string::npos);
    EXPECT_EQ(mac.error().message().find('\n'), std::string::npos);
    EXPECT_THAT(mac.error().message(), HasSubstr("52:54:00:12:34:56"));
}

TEST(MacAddress, KnowsItsKinds) {
    EXPECT_TRUE(MacAddress{}.is_zero());
    EXPECT_FALSE(MacAddress::parse("00:00:00:00:00:01")->is_zero());
    EXPECT_TRUE(MacAddress::parse("01:00:5e:00:00:01")->is_multicast());
    EXPECT_TRUE(MacAddress::parse("ff:ff:ff:ff:ff:ff")->is_multicast());
    EXPECT_FALSE(MacAddress::parse("52:54:00:12:34:56")->is_multicast());
}

TEST(StableMac, IsAlwaysTheSame) {
    const auto mac = stable_mac("4f1f0a", "0000:01:00.0", 3);
    EXPECT_EQ(mac, stable_mac("4f1f0a", "0000:01:00.0", 3));
    // A release that computed another would change the addresses of every guest.
    EXPECT_EQ(mac.str(), "02:5a:dc:e4:53:43");
}

TEST(StableMac, IsLocalAndUnicast) {
    for (unsigned index = 0; index < 4096; ++index) {
        const auto mac = stable_mac("machine", "52:54:00:12:34:56", index);
        EXPECT_EQ(mac.bytes[0] & 3, 2) << mac.str();
    }
}

TEST(StableMac, DiffersBetweenVfsPfsAndMachines) {
    std::set<MacAddress> seen;
    for (const auto* machine : {"a", "b", "ab"})
        for (const auto* pf : {"bc", "c", "0000:01:00.0", "0000:01:00.1"})
            for (unsigned index = 0; index < 4096; ++index)
                EXPECT_TRUE(seen.insert(stable_mac(machine, pf, index)).second)
                    << machine << " " << pf << " " << index;
}

TEST(StableMac, TheNextIsAnotherOfTheKind) {
    std::set<MacAddress> seen;
    auto mac = stable_mac("machine", "0000:01:00.0", 0);
    for (int i = 0; i < 100; ++i) {
        EXPECT_TRUE(seen.insert(mac).second);
        EXPECT_EQ(mac.bytes[0] & 3, 2);
        EXPECT_EQ(next_stable_mac(mac), next_stable_mac(mac));
        mac = next_stable_mac(mac);
    }
}

TEST(Guid, ParsesAndPrints) {
    const auto guid = Guid::parse("02:00:00:00:00:aB:Cd:0F");
    ASSERT_TRUE(guid);
    EXPECT_EQ(guid->value, 0x0200'0000'00ab'cd0fU);
    EXPECT_EQ(guid->str(), "02:00:00:00:00:ab:cd:0f");
    for (const auto* text : {"", "52:54:00:12:34:56", "0200000000abcd0f", "02:00:00:00:00:ab:cd:0g",
                             "02:00:00:00:00:ab:cd:0f:"}) {
        const auto wrong = Guid::parse(text);
        ASSERT_FALSE(wrong) << text;
        EXPECT_EQ(wrong.error().code, Code::invalid);
        EXPECT_THAT(wrong.error().message(), HasSubstr("02:00:00:00:00:00:00:01"));
    }
}

TEST(StableGuid, IsLocalAndDiffersBetweenVfsAndUses) {
    std::set<Guid> seen;
    for (unsigned index = 0; index < 1024; ++index)
        for (const auto* use : {"node", "port"}) {
            const auto guid = stable_guid("machine", "0000:01:00.0", index, use);
            EXPECT_TRUE(seen.insert(guid).second) << index << use;
            EXPECT_EQ(guid.value >> 56 & 3, 2U);
        }
}

}  // namespace
}  // namespace vfb::nic
