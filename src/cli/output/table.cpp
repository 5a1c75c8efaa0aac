// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/table.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <numeric>
#include <string_view>

namespace vfb::cli {
namespace {

// Characters, not bytes: continuation bytes of UTF-8 take no room.
std::size_t width_of(std::string_view text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char byte) { return (byte & 0xC0) != 0x80; }));
}

constexpr std::size_t kGap = 2;

// The header is never cut.
std::size_t floor_of(const Column& column) {
    return std::max<std::size_t>(column.least, width_of(column.name));
}

bool same_word(std::string_view a, std::string_view b) {
    return std::ranges::equal(
        a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// As much of it as fits, with an ellipsis where something is missing.
std::string cut_to(std::string_view text, std::size_t width) {
    if (width_of(text) <= width) return std::string(text);
    std::size_t end = 0;
    for (std::size_t characters = 0; end < text.size(); ++end) {
        const bool begins = (text[end] & 0xC0) != 0x80;
        if (begins && ++characters == width) break;
    }
    return std::string(text.substr(0, end)) + "\u2026";
}

std::string_view escape_of(Colour colour) {
    switch (colour) {
        case Colour::green:
            return "\x1b[32m";
        case Colour::blue:
            return "\x1b[34m";
        case Colour::yellow:
            return "\x1b[33m";
        case Colour::red:
            return "\x1b[31m";
        case Colour::none:
            return "";
    }
    return "";
}

}  // namespace

void make_printable(std::string& text) {
    for (char& byte : text)
        if (static_cast<unsigned char>(byte) < ' ' || byte == '\x7f') byte = '?';
}

std::string painted(std::string_view text, Colour colour, bool wanted) {
    const auto escape = wanted ? escape_of(colour) : "";
    return escape.empty() ? std::string(text) : std::string(escape) + std::string(text) + "\x1b[0m";
}

void Table::row(std::vector<Cell> cells) {
    for (auto& cell : cells) {
        if (cell.text.empty()) cell.text.push_back('-');
        make_printable(cell.text);
    }
    rows_.push_back(std::move(cells));
}

Result<> Table::choose(const std::vector<std::string>& names) {
    Positions chosen;
    for (const auto& name : names) {
        const auto found = std::ranges::find_if(
            columns_, [&](const Column& column) { return same_word(column.name, name); });
        if (found == columns_.end())
            return fail(Code::invalid, "choose columns", name,
                        fmt::format("there is no column {}", name), "vfbroker help columns");
        chosen.push_back(static_cast<std::size_t>(found - columns_.begin()));
    }
    chosen_ = std::move(chosen);
    return {};
}

std::size_t Table::widest(std::size_t column) const {
    std::size_t width = width_of(columns_[column].name);
    for (const auto& cells : rows_) width = std::max(width, width_of(cells[column].text));
    return width;
}

bool Table::says_nothing(std::size_t column) const {
    return std::ranges::all_of(rows_, [column](const std::vector<Cell>& cells) {
        return cells[column].text == "-" || cells[column].text == "0";
    });
}

Table::Positions Table::expendable() const {
    Positions order;
    for (std::size_t i = 0; i < columns_.size(); ++i)
        if (columns_[i].leave_out != 0) order.push_back(i);
    std::ranges::stable_sort(order, [this](std::size_t a, std::size_t b) {
        const bool nothing_a = says_nothing(a);
        const bool nothing_b = says_nothing(b);
        if (nothing_a != nothing_b) return nothing_a;
        return columns_[a].leave_out > columns_[b].leave_out;
    });
    return order;
}

Table::Positions Table::shown(const Screen& screen) const {
    if (chosen_) return *chosen_;
    Positions all(columns_.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    if (!screen.width) return all;
    const auto order = expendable();
    for (std::size_t left_out = 0;; ++left_out) {
        std::size_t least = 0;
        for (const auto i : all) {
            const auto width = widest(i);
            least += kGap + (columns_[i].least == 0
                                 ? width
                                 : std::min<std::size_t>(width, floor_of(columns_[i])));
        }
        if (least <= *screen.width + kGap || left_out == order.size()) return all;
        std::erase(all, order[left_out]);
    }
}

std::vector<std::size_t> Table::widths(const Positions& positions, const Screen& screen) const {
    std::vector<std::size_t> widths;
    std::size_t total = 0;
    for (const auto i : positions) {
        widths.push_back(widest(i));
        total += widths.back() + kGap;
    }
    const std::size_t room = screen.width.value_or(total) + kGap;
    // The last ones tell the least.
    for (std::size_t k = positions.size(); k-- > 0 && total > room;) {
        const Column& column = columns_[positions[k]];
        const auto floor = floor_of(column);
        if (column.least == 0 || widths[k] <= floor) continue;
        const auto cut = std::min(widths[k] - floor, total - room);
        widths[k] -= cut;
        total -= cut;
    }
    return widths;
}

std::string Table::str(const Screen& screen) const {
    const auto positions = shown(screen);
    const auto width = widths(positions, screen);
    std::string out;
    const auto add = [&](std::size_t k, std::string_view text, Colour colour) {
        const auto fitting = cut_to(text, width[k]);
        out += painted(fitting, colour, screen.coloured);
        if (k + 1 == positions.size())
            out += '\n';
        else
            out.append(width[k] - width_of(fitting) + kGap, ' ');
    };
    for (std::size_t k = 0; k < positions.size(); ++k)
        add(k, columns_[positions[k]].name, Colour::none);
    for (const auto& cells : rows_)
        for (std::size_t k = 0; k < positions.size(); ++k)
            add(k, cells[positions[k]].text, cells[positions[k]].colour);
    return out;
}

Colour colour_of_state(std::string_view state) {
    if (state == "clean") return Colour::green;
    if (state == "leased") return Colour::blue;
    if (state == "preparing" || state == "dirty" || state == "absent") return Colour::yellow;
    if (state == "quarantined" || state == "stuck") return Colour::red;
    return Colour::none;
}

Screen standard_output(bool wide) {
    if (::isatty(STDOUT_FILENO) != 1) return {};
    const char* no_colour = std::getenv("NO_COLOR");
    Screen screen{.coloured = no_colour == nullptr || *no_colour == '\0', .width = {}};
    winsize size{};
    if (wide) return screen;
    constexpr std::size_t kUsual = 80;
    const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0;
    screen.width = known ? size.ws_col : kUsual;
    return screen;
}

}  // namespace vfb::cli
