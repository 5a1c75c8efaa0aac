// SPDX-License-Identifier: GPL-2.0-or-later
#include "names.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tree/tree.hpp"

namespace vfb::pci {
namespace {

TEST(Names, AreThoseOfPciIds) {
    Names names;
    EXPECT_EQ(names.vendor(0x8086), "Intel Corporation");
    EXPECT_EQ(names.device(0x8086, 0x10ca), "82576 Virtual Function");
    EXPECT_EQ(names.class_name(0x020000), "Ethernet controller");
    EXPECT_EQ(names.class_name(0x010802), "Non-Volatile memory controller");
    EXPECT_EQ(names.class_name(0xff5500), "Unassigned class");  // the subclass is in no list
    EXPECT_FALSE(names.take_error());
}

TEST(Names, AreEmptyForTheUnknown) {
    Names names;
    EXPECT_EQ(names.vendor(0xfff5), "");
    EXPECT_EQ(names.device(0x8086, 0xfffe), "");
    EXPECT_FALSE(names.take_error());
}

// libpci calls its error handler for these, which exits unless it is replaced.
TEST(Names, SurviveAMalformedDatabase) {
    const auto folder = tree::TemporaryFolder::create().value();
    const auto file = folder.path() + "/pci.ids";
    for (const char* text : {"8086  Intel\n\tnothing here\n", "zzzz\n", "\t1234  device first\n",
                             "8086  Intel\n\t\t\t\tdeep\n"}) {
        ASSERT_TRUE(tree::write_file(file, text));
        Names names(file);
        names.vendor(0x8086);
        const auto error = names.take_error();
        ASSERT_TRUE(error) << text;
        EXPECT_THAT(error->message(), testing::HasSubstr("line "));
        EXPECT_EQ(error->subject, file);
        // And goes on: the second look-up is as quiet as any.
        EXPECT_EQ(names.device(0x1234, 0x5678), "");
        EXPECT_FALSE(names.take_error());
    }
}

TEST(Names, SurviveAMissingDatabase) {
    Names names("/nonexistent/pci.ids");
    names.vendor(0x8086);  // udev's hwdb may know it
    EXPECT_FALSE(names.take_error());
}

}  // namespace
}  // namespace vfb::pci
