// SPDX-License-Identifier: GPL-2.0-or-later
#include "pci/address.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <unordered_set>

namespace vfb::pci {
namespace {

TEST(Address, RoundTrips) {
    for (const char* text :
         {"0000:00:00.0", "0000:01:10.7", "ffff:ff:1f.7", "10000:e0:1f.0", "ffffffff:ff:1f.7"}) {
        const auto address = Address::parse(text);
        ASSERT_TRUE(address) << text;
        EXPECT_EQ(address->str(), text);
        EXPECT_EQ(fmt::format("{:>20}", *address), fmt::format("{:>20}", text));
    }
}

TEST(Address, TakesTheShortFormAndUpperCase) {
    EXPECT_EQ(Address::parse("01:10.2").value().str(), "0000:01:10.2");
    EXPECT_EQ(Address::parse("000A:AB:1F.1").value().str(), "000a:ab:1f.1");
}

TEST(Address, RefusesWhatIsNone) {
    for (const char* text : {"",
                             ":",
                             "0",
                             "01",
                             "01:10",
                             "01:10.",
                             "1:10.0",
                             "01:1.0",
                             "01:10.00",
                             "001:10.0",
                             "01:20.0",
                             "01:ff.0",
                             "01:10.8",
                             "01:10.f",
                             "0x01:10.0",
                             "01:10.0 ",
                             " 01:10.0",
                             "+1:10.0",
                             "-1:10.0",
                             "01:+1.0",
                             "01:-1.0",
                             "01:10.+",
                             "*:*.*",
                             "01:10.*",
                             "01.10:0",
                             "0:01:10.0",
                             "000:01:10.0",
                             "00000:01:10.0",
                             "010000:01:10.0",
                             "100000000:01:10.0",
                             ":01:10.0",
                             "0000::10.0",
                             "0000:01::10.0",
                             "0000:01:10:0",
                             "0000:01:10.0:",
                             "0000:01:10.0\n",
                             "0000.01.10.0",
                             "0000:01:10,0",
                             "0000:g1:10.0",
                             "pci0000:01",
                             "0000:0000:01:10.0",
                             "٠١:10.0"})
        EXPECT_FALSE(Address::parse(text)) << text;
    EXPECT_FALSE(Address::parse(std::string_view("01:10.0\0", 8)));
    EXPECT_FALSE(Address::parse(std::string(100000, '0')));
    const auto error = Address::parse("01:10").error();
    EXPECT_EQ(error.code, Code::invalid);
    EXPECT_EQ(error.message(),
              "cannot take '01:10' for a PCI address: it is not of the form 0000:01:10.0");
}

// Every byte in every place: either the same address in lower case comes back, or nothing.
TEST(Address, SurvivesEveryChangeOfOneByte) {
    for (const std::string valid : {"0000:01:10.0", "01:10.0", "10000:01:10.0"}) {
        for (std::size_t at = 0; at < valid.size(); ++at) {
            for (int byte = 0; byte < 256; ++byte) {
                auto text = valid;
                text[at] = static_cast<char>(byte);
                const auto address = Address::parse(text);
                if (!address) continue;
                std::ranges::transform(text, text.begin(), [](unsigned char c) {
                    return static_cast<char>(std::tolower(c));
                });
                EXPECT_EQ(address->str(), text.size() == 7 ? "0000:" + text : text);
            }
            EXPECT_FALSE(Address::parse(valid.substr(0, at))) << valid.substr(0, at);
        }
    }
}

TEST(Address, IsOrderedByNumberAndHashedWithoutCollisionsInADomain) {
    EXPECT_LT(Address::parse("ffff:ff:1f.7").value(), Address::parse("10000:00:00.0").value());
    EXPECT_LT(Address::parse("0000:01:1f.7").value(), Address::parse("0000:02:00.0").value());
    std::unordered_set<std::size_t> hashes;
    for (unsigned id = 0; id < 0x10000; ++id)
        hashes.insert(std::hash<Address>{}({.domain = 0,
                                            .bus = static_cast<std::uint8_t>(id >> 8),
                                            .device = static_cast<std::uint8_t>((id >> 3) & 31),
                                            .function = static_cast<std::uint8_t>(id & 7)}));
    EXPECT_EQ(hashes.size(), 0x10000U);
}

}  // namespace
}  // namespace vfb::pci
