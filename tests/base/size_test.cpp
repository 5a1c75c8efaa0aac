// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/size.hpp"

#include <gtest/gtest.h>

namespace vfb {
namespace {

TEST(Size, TheLargestUnitThatLeavesAWholeNumber) {
    EXPECT_EQ(readable_size(0), "0 B");
    EXPECT_EQ(readable_size(1023), "1023 B");
    EXPECT_EQ(readable_size(16384), "16 KiB");
    EXPECT_EQ(readable_size(1536ULL << 20), "1536 MiB");
    EXPECT_EQ(readable_size(1ULL << 50), "1024 TiB");
}

}  // namespace
}  // namespace vfb
