// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/finding.hpp"

#include <array>
#include <utility>

namespace vfb {
namespace {

constexpr std::array<std::pair<Finding::Level, std::string_view>, 4> kLevelNames{{
    {Finding::Level::pass, "pass"},
    {Finding::Level::note, "note"},
    {Finding::Level::warn, "warn"},
    {Finding::Level::fail, "fail"},
}};

}  // namespace

std::string_view to_string(Finding::Level level) {
    for (const auto& [value, name] : kLevelNames)
        if (value == level) return name;
    return "fail";
}

std::optional<Finding::Level> level_from_string(std::string_view name) {
    for (const auto& [value, known] : kLevelNames)
        if (known == name) return value;
    return std::nullopt;
}

}  // namespace vfb
