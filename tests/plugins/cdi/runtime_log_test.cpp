// SPDX-License-Identifier: GPL-2.0-or-later
#include "runtime_log.hpp"

#include <gmock/gmock.h>

namespace vfb::cdi {
namespace {

std::string command_line(std::initializer_list<std::string_view> words) {
    std::string text;
    for (const auto word : words) {
        text += word;
        text += '\0';
    }
    return text;
}

TEST(JsonLog, IsWhatTheCommandLineNames) {
    EXPECT_EQ(
        json_log_of(command_line({"crun", "--log-format=json", "--log=/run/c/oci-log", "create"})),
        "/run/c/oci-log");
    EXPECT_EQ(
        json_log_of(command_line({"crun", "--log-format", "json", "--log", "file:/l", "create"})),
        "/l");
}

TEST(JsonLog, IsNoneOtherwise) {
    EXPECT_EQ(json_log_of(command_line({"crun", "create", "c1"})), std::nullopt);
    EXPECT_EQ(json_log_of(command_line({"crun", "--log=/l", "create"})), std::nullopt);
    EXPECT_EQ(json_log_of(command_line({"crun", "--log-format=json", "--log=journald:x"})),
              std::nullopt);
    EXPECT_EQ(json_log_of(""), std::nullopt);
}

}  // namespace
}  // namespace vfb::cdi
