// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/addresses.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string_view>
#include <utility>

namespace vfb::cli {
namespace {

struct Place {
    std::string text;
    std::optional<std::int64_t> number;  // domain, bus, device and function in a row
};

Place place_of(std::string text) {
    Place place{.text = std::move(text), .number = {}};
    unsigned domain = 0;
    unsigned bus = 0;
    unsigned device = 0;
    unsigned function = 0;
    int end = 0;
    const int read = std::sscanf(place.text.c_str(), "%8x:%2x:%2x.%1x%n", &domain, &bus, &device,
                                 &function, &end);
    if (read == 4 && static_cast<std::size_t>(end) == place.text.size())
        place.number = (std::int64_t{domain} << 16) | (bus << 8) | (device << 3) | function;
    return place;
}

// How many from `first` on have the same step, and that step.
struct Row {
    std::size_t length = 1;
    std::int64_t step = 0;
};

Row row_at(const std::vector<Place>& places, std::size_t first) {
    Row row;
    for (std::size_t i = first + 1; i < places.size(); ++i) {
        if (!places[i - 1].number || !places[i].number) break;
        const auto step = *places[i].number - *places[i - 1].number;
        if (row.length == 1) row.step = step;
        if (step != row.step || step <= 0) break;
        ++row.length;
    }
    return row;
}

std::string every(std::int64_t step) {
    if (step == 1) return "";
    const char* suffix = step == 2 ? "nd" : step == 3 ? "rd" : "th";
    return fmt::format(", every {}{}", step, suffix);
}

}  // namespace

bool is_address(const std::string& text) {
    const auto upper = [](unsigned char byte) { return std::isupper(byte) != 0; };
    return text.size() >= std::string_view("0000:00:00.0").size() &&
           std::ranges::none_of(text, upper) && place_of(text).number.has_value();
}

std::string address_ranges(const std::vector<proto::Json>& addresses) {
    std::vector<Place> places;
    for (const auto& address : addresses)
        places.push_back(place_of(address.is_string() ? address.get<std::string>() : ""));
    std::string out;
    for (std::size_t i = 0; i < places.size();) {
        if (!out.empty()) out += ' ';
        const Row row = row_at(places, i);
        if (row.length < 3) {
            out += places[i].text;
            ++i;
            continue;
        }
        out += fmt::format("{}-{} ({}{})", places[i].text, places[i + row.length - 1].text,
                           row.length, every(row.step));
        i += row.length;
    }
    return out;
}

}  // namespace vfb::cli
