// SPDX-License-Identifier: GPL-2.0-or-later
#include "state.hpp"

#include <gmock/gmock.h>

namespace vfb::cdi {
namespace {

using ::testing::HasSubstr;

TEST(State, IsWhatTheRuntimeSays) {
    const auto state = parse_state(
        R"({"ociVersion": "1.0.2", "id": "c1", "status": "creating", "pid": 42, "bundle": "/b"})");
    ASSERT_TRUE(state) << state.error().message();
    EXPECT_EQ(state->id, "c1");
    EXPECT_EQ(state->pid, 42);
    EXPECT_EQ(state->bundle, "/b");
    // As poststop hears it.
    EXPECT_EQ(parse_state(R"({"id": "c1"})")->pid, 0);
    EXPECT_EQ(parse_state(R"({"id": "c1", "pid": -1})")->pid, 0);
}

TEST(State, IsRefusedWhenItIsNone) {
    for (const std::string& text : std::vector<std::string>{
             "", "{", "[]", "{}", R"({"id": 7})", R"({"id": ")" + std::string(300, 'x') + "\"}"})
        EXPECT_EQ(parse_state(text).error().code, Code::invalid) << text;
}

TEST(Bundle, SaysWhereTheRootIsAndWhoTheUserIs) {
    const auto absolute = parse_bundle(
        R"({"root": {"path": "/r"}, "process": {"user": {"uid": 5, "gid": 6}},
            "linux": {"namespaces": [{"type": "mount"}]}})",
        "/b");
    ASSERT_TRUE(absolute);
    EXPECT_EQ(absolute->root, "/r");
    EXPECT_EQ(absolute->uid, 5U);
    EXPECT_EQ(absolute->gid, 6U);
    EXPECT_FALSE(absolute->user_namespace);
    const auto relative = parse_bundle(
        R"({"root": {"path": "rootfs"}, "linux": {"namespaces": [{"type": "user"}]}})", "/b");
    ASSERT_TRUE(relative);
    EXPECT_EQ(relative->root, "/b/rootfs");
    EXPECT_EQ(relative->uid, 0U);
    EXPECT_TRUE(relative->user_namespace);
    EXPECT_THAT(parse_bundle("{}", "/b").error().message(), HasSubstr("/b/config.json"));
}

}  // namespace
}  // namespace vfb::cdi
