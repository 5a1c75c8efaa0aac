// SPDX-License-Identifier: GPL-2.0-or-later
//
// What could not be read is not known, and never a `no`.
#include "explain_wire.hpp"

#include <gtest/gtest.h>

namespace vfb::daemon {
namespace {

Error unreadable() {
    return fail(Code::stuck, "explain 0000:01:10.0", "0000:01:10.0",
                "the kernel has not come back after 10 s")
        .error();
}

TEST(Explained, NothingIsKnownOfWhatCouldNotBeRead) {
    const auto json = unread_to_json(unreadable());
    EXPECT_TRUE(json.at("isolation").at("viable").is_null());
    EXPECT_TRUE(json.at("uses").is_null());
    EXPECT_TRUE(json.at("holders").is_null());
    EXPECT_EQ(json.at("isolation").at("reason"), unreadable().message());
}

TEST(Explained, NorOfTheParts) {
    doctor::Explanation explanation;
    explanation.members.resize(1);
    const auto whole = to_json(explanation);
    EXPECT_EQ(whole.at("isolation").at("viable"), false);
    EXPECT_TRUE(whole.at("uses").is_array());
    EXPECT_TRUE(whole.at("holders").is_array());
    EXPECT_TRUE(whole.at("members").at(0).at("uses").is_array());
    for (const char* check : {"iommu-group", "host-use", "holders"})
        explanation.unread.emplace(check, unreadable());
    const auto parts = to_json(explanation);
    EXPECT_TRUE(parts.at("isolation").at("viable").is_null());
    EXPECT_TRUE(parts.at("uses").is_null());
    EXPECT_TRUE(parts.at("holders").is_null());
    EXPECT_TRUE(parts.at("members").at(0).at("uses").is_null());
}

}  // namespace
}  // namespace vfb::daemon
