// SPDX-License-Identifier: GPL-2.0-or-later
#include "attributes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfb::pci {
namespace {

constexpr std::string_view kModalias = "pci:v00008086d000010C9sv00008086sd0000A03Cbc02sc00i01";

TEST(Modalias, IsTakenApart) {
    EXPECT_EQ(parse_modalias(kModalias), (Identity{.vendor = 0x8086,
                                                   .device = 0x10c9,
                                                   .subsystem_vendor = 0x8086,
                                                   .subsystem_device = 0xa03c,
                                                   .class_code = 0x020001}));
}

TEST(Modalias, IsRefusedWhenCutOrChanged) {
    for (std::size_t size = 0; size + 1 < kModalias.size(); ++size)
        EXPECT_FALSE(parse_modalias(kModalias.substr(0, size))) << size;
    EXPECT_FALSE(parse_modalias(std::string(kModalias) + "0"));
    EXPECT_FALSE(parse_modalias("pci:v10008086d000010C9sv00008086sd0000A03Cbc02sc00i00"));
    EXPECT_FALSE(parse_modalias("usb:v8086p10C9d0000dc00dsc00dp00ic00isc00ip00in00"));
}

// As an igb PF has it: two memory BARs, one I/O, a ROM, and two VF BARs of eight VFs.
constexpr std::string_view kResource =
    "0x00000000fe000000 0x00000000fe01ffff 0x0000000000040200\n"
    "0x00000000fe400000 0x00000000fe7fffff 0x0000000000040200\n"
    "0x0000000000001000 0x000000000000101f 0x0000000000040101\n"
    "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
    "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
    "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
    "0x00000000fe800000 0x00000000fe83ffff 0x0000000000046200\n"
    "0x0000000800000000 0x000000080001ffff 0x000000000014220c\n"
    "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
    "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
    "0x0000000800020000 0x000000080003ffff 0x000000000014220c\n"
    "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
    "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
    "0x00000000f0000000 0x00000000f01fffff 0x0000000000000200\n";  // a window: not ours

TEST(Resource, IsReadByPlace) {
    const auto resources = parse_resource(kResource).value();
    ASSERT_EQ(resources.bars.size(), 4U);
    EXPECT_EQ(resources.bars[1], (Bar{.address = 0xfe400000, .size = 0x400000, .index = 1}));
    EXPECT_EQ(resources.bars[2], (Bar{.address = 0x1000, .size = 0x20, .index = 2, .io = true}));
    EXPECT_EQ(resources.bars[3].index, 6);
    ASSERT_EQ(resources.vf_bars.size(), 2U);
    EXPECT_EQ(resources.vf_bars[1], (Bar{.address = 0x800020000,
                                         .size = 0x20000,
                                         .index = 3,
                                         .io = false,
                                         .prefetchable = true,
                                         .is_64bit = true}));
}

TEST(Resource, ToleratesNoLastNewlineAndRefusesGarbage) {
    EXPECT_TRUE(parse_resource(kResource.substr(0, kResource.size() - 1)));
    EXPECT_TRUE(parse_resource("").value().bars.empty());
    for (const char* text :
         {"\n", "0x0", "0x0 0x0", "0x0 0x0 0x0 ", "0x0 0x0 0x0x", "0 0 0", "0x0  0x0 0x0",
          "0xg 0x0 0x0", "-0x1 0x0 0x0", "0x10000000000000000 0x0 0x0", "0x0 0x0 0x0\n\n"})
        EXPECT_FALSE(parse_resource(text)) << text;
    // An end before its start is no window.
    EXPECT_TRUE(parse_resource("0x1000 0xfff 0x200\n").value().bars.empty());
}

TEST(Words, AreSplitAtBlanks) {
    EXPECT_THAT(split_words("flr bus"), testing::ElementsAre("flr", "bus"));
    EXPECT_THAT(split_words("  pm  "), testing::ElementsAre("pm"));
    EXPECT_TRUE(split_words("").empty());
    EXPECT_TRUE(split_words("  ").empty());
}

}  // namespace
}  // namespace vfb::pci
