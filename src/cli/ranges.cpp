// SPDX-License-Identifier: GPL-2.0-or-later
#include "ranges.hpp"

#include <fmt/format.h>

#include <charconv>
#include <string>

namespace vfb::cli {

CLI::Validator in_range(std::int64_t least, std::int64_t most) {
    const auto check = [least, most](const std::string& text) -> std::string {
        std::int64_t number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error == std::errc{} && end == text.data() + text.size() && number >= least &&
            number <= most)
            return {};
        return most == INT64_MAX
                   ? fmt::format("'{}' is not a whole number of {} or more", text, least)
                   : fmt::format("'{}' is not a whole number from {} to {}", text, least, most);
    };
    return {check, "", ""};
}

}  // namespace vfb::cli
