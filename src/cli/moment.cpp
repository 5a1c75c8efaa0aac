// SPDX-License-Identifier: GPL-2.0-or-later
#include "moment.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <ctime>
#include <optional>
#include <string_view>
#include <utility>

namespace vfb::cli {
namespace {

constexpr std::int64_t kDay = 24 * 60 * 60;

std::optional<std::int64_t> whole_number(std::string_view text) {
    std::int64_t number = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || stop != text.data() + text.size() || number < 0) return {};
    return number;
}

// `2h`, `90 min`.
std::optional<std::int64_t> duration(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, std::int64_t>, 6> kUnits{
        {{"min", 60}, {"m", 60}, {"s", 1}, {"h", 60 * 60}, {"d", kDay}, {"w", 7 * kDay}}};
    for (const auto& [unit, seconds] : kUnits) {
        if (!text.ends_with(unit)) continue;
        auto number = text.substr(0, text.size() - unit.size());
        while (number.ends_with(' ')) number.remove_suffix(1);
        const auto count = whole_number(number);
        constexpr std::int64_t kMost = 100 * 366 * kDay;
        if (count && *count <= kMost / seconds) return *count * seconds;
    }
    return {};
}

std::tm local(std::int64_t seconds) {
    const auto time = static_cast<std::time_t>(seconds);
    std::tm parts{};
    ::localtime_r(&time, &parts);
    return parts;
}

std::int64_t midnight(std::int64_t now, int days_before) {
    std::tm parts = local(now);
    parts.tm_hour = parts.tm_min = parts.tm_sec = 0;
    parts.tm_mday -= days_before;
    parts.tm_isdst = -1;
    return std::mktime(&parts);
}

// The whole of `text`, into what `parts` has already.
bool read(const char* text, const char* format, std::tm& parts) {
    const char* end = ::strptime(text, format, &parts);
    return end != nullptr && *end == '\0';
}

std::optional<std::int64_t> date(std::string text, std::int64_t now) {
    const bool utc = text.ends_with('Z');
    if (utc) text.pop_back();
    for (const char* format : {"%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S",
                               "%Y-%m-%dT%H:%M", "%Y-%m-%d"}) {
        std::tm parts{};
        parts.tm_isdst = -1;
        if (read(text.c_str(), format, parts)) return utc ? ::timegm(&parts) : std::mktime(&parts);
    }
    if (utc) return {};
    for (const char* format : {"%H:%M:%S", "%H:%M"}) {
        std::tm parts = local(midnight(now, 0));
        parts.tm_isdst = -1;
        if (read(text.c_str(), format, parts)) return std::mktime(&parts);
    }
    return {};
}

std::optional<std::int64_t> moment(std::string_view text, std::int64_t now) {
    if (text == "now") return now;
    if (text == "today") return midnight(now, 0);
    if (text == "yesterday") return midnight(now, 1);
    if (text.starts_with('@')) return whole_number(text.substr(1));
    constexpr std::string_view kAgo = " ago";
    std::optional<std::int64_t> before;
    if (text.starts_with('-')) before = duration(text.substr(1));
    if (text.ends_with(kAgo)) before = duration(text.substr(0, text.size() - kAgo.size()));
    if (before) return now - *before;
    return date(std::string(text), now);
}

}  // namespace

std::string moment_text(std::int64_t seconds) {
    constexpr std::int64_t kYear10000 = 253402300800;
    if (seconds < 0 || seconds >= kYear10000) return "";
    return fmt::format("{:%FT%TZ}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

Result<std::int64_t> parse_moment(const std::string& text, std::int64_t now) {
    if (const auto seconds = moment(text, now)) return *seconds;
    return fail(Code::invalid, "read the time " + text, text, "it is no point in time",
                "as 2026-01-31, \"2026-01-31 18:00\", 18:00, today, yesterday, \"2h ago\" or -2h");
}

}  // namespace vfb::cli
