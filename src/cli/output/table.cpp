// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/table.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace vfb::cli {
namespace {

// Characters, not bytes: continuation bytes of UTF-8 take no room.
std::size_t width_of(std::string_view text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char byte) { return (byte & 0xC0) != 0x80; }));
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

Table::Table(std::vector<std::string> headers) : headers_(std::move(headers)) {
    for (const auto& header : headers_) widths_.push_back(width_of(header));
}

void Table::row(std::vector<Cell> cells) {
    for (std::size_t i = 0; i < cells.size(); ++i) {
        if (cells[i].text.empty()) cells[i].text.push_back('-');
        make_printable(cells[i].text);
        widths_[i] = std::max(widths_[i], width_of(cells[i].text));
    }
    rows_.push_back(std::move(cells));
}

std::string Table::str(bool coloured) const {
    std::string out;
    const auto add = [&](std::size_t column, std::string_view text, Colour colour) {
        out += painted(text, colour, coloured);
        const bool last = column + 1 == headers_.size();
        if (last)
            out += '\n';
        else
            out.append(widths_[column] - width_of(text) + 2, ' ');
    };
    for (std::size_t i = 0; i < headers_.size(); ++i) add(i, headers_[i], Colour::none);
    for (const auto& cells : rows_)
        for (std::size_t i = 0; i < cells.size(); ++i) add(i, cells[i].text, cells[i].colour);
    return out;
}

Colour colour_of_state(std::string_view state) {
    if (state == "clean") return Colour::green;
    if (state == "leased") return Colour::blue;
    if (state == "preparing" || state == "dirty" || state == "absent") return Colour::yellow;
    if (state == "quarantined" || state == "stuck") return Colour::red;
    return Colour::none;
}

bool colour_wanted() {
    const char* no_colour = std::getenv("NO_COLOR");
    return (no_colour == nullptr || *no_colour == '\0') && ::isatty(STDOUT_FILENO) == 1;
}

}  // namespace vfb::cli
