// SPDX-License-Identifier: GPL-2.0-or-later
#include "config_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>

#include "broker/config.hpp"

namespace vfb::broker {
namespace {

constexpr std::size_t kLongestName = 64;
// VFs of one PF have numbers below this (NumVFs has 16 bits).
constexpr unsigned kMaxIndex = 65534;

template <class T>
std::optional<T> number(std::string_view text, int base = 10) {
    T value{};
    const auto* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value, base);
    if (error != std::errc{} || stop != end) return std::nullopt;
    return value;
}

bool is_lower_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

struct Range {
    unsigned first;
    unsigned last;
};

std::optional<Range> parse_range(std::string_view text) {
    const auto dash = text.find('-');
    const auto first = number<unsigned>(text.substr(0, dash));
    const auto last = dash == text.npos ? first : number<unsigned>(text.substr(dash + 1));
    if (!first || !last || *first > *last || *last > kMaxIndex) return std::nullopt;
    return Range{*first, *last};
}

// Levenshtein, two rows.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row[b.size()];
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
    if (text == "unlimited") return kUnlimited;
    const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto value = number<std::uint64_t>(text.substr(0, digits));
    if (!value) return std::nullopt;
    auto unit = text.substr(digits);
    if (unit.empty()) return value;
    const auto power = std::string_view("KMGT").find(unit.front());
    unit.remove_prefix(1);
    if (power == std::string_view::npos || (!unit.empty() && unit != "iB")) return std::nullopt;
    const auto shift = 10 * (power + 1);
    if (*value > UINT64_MAX >> shift) return std::nullopt;
    return *value << shift;
}

std::expected<std::vector<unsigned>, std::string> parse_indexes(std::string_view text) {
    std::vector<unsigned> indexes;
    for (std::string_view rest = text;;) {
        const auto comma = rest.find(',');
        const auto part = rest.substr(0, comma);
        const auto range = parse_range(part);
        if (!range) return std::unexpected(in_quotes(part) + " is no index and no range like 0-3");
        for (unsigned index = range->first; index <= range->last; ++index) indexes.push_back(index);
        // Checked in each round: a list of many ranges must not grow beyond measure.
        if (indexes.size() > kMaxIndex + 1) break;
        if (comma == rest.npos) break;
        rest.remove_prefix(comma + 1);
    }
    std::ranges::sort(indexes);
    if (const auto twice = std::ranges::adjacent_find(indexes); twice != indexes.end())
        return std::unexpected(fmt::format("index {} is given twice", *twice));
    return indexes;
}

std::string indexes_text(std::span<const unsigned> ascending) {
    std::string text;
    for (std::size_t i = 0; i < ascending.size();) {
        std::size_t end = i + 1;
        while (end < ascending.size() && ascending[end] == ascending[end - 1] + 1) ++end;
        text += text.empty() ? "" : ",";
        text += std::to_string(ascending[i]);
        if (end - i > 1) text += "-" + std::to_string(ascending[end - 1]);
        i = end;
    }
    return text;
}

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= kLongestName && is_lower_or_digit(text.front()) &&
           std::ranges::all_of(text,
                               [](char c) { return is_lower_or_digit(c) || c == '_' || c == '-'; });
}

bool is_kernel_name(std::string_view text) {
    return !text.empty() && text.size() <= kLongestName && text.front() != '.' &&
           std::ranges::all_of(text, [](char c) {
               return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
                      c == '.' || c == ':';
           });
}

std::optional<std::uint16_t> parse_pci_id(std::string_view text) {
    if (text.starts_with("0x")) text.remove_prefix(2);
    if (text.size() != 4) return std::nullopt;
    return number<std::uint16_t>(text, 16);
}

std::string in_quotes(std::string_view text) {
    std::string result(text.substr(0, kLongestName));
    std::ranges::replace_if(result, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
    return "'" + result + (text.size() > kLongestName ? "...'" : "'");
}

std::string_view nearest(std::string_view text, std::span<const std::string_view> candidates) {
    std::string_view best;
    // Up to two edits, and never so many that another word would do as well.
    std::size_t least = std::min<std::size_t>(3, std::max<std::size_t>(text.size(), 2));
    if (text.size() > kLongestName) return best;
    for (const auto candidate : candidates)
        if (const auto distance = edit_distance(text, candidate); distance < least) {
            least = distance;
            best = candidate;
        }
    return best;
}

}  // namespace vfb::broker
