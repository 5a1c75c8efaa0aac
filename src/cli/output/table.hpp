// SPDX-License-Identifier: GPL-2.0-or-later
//
// Aligned columns with a header, for people; scripts use --json.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vfb::cli {

enum class Colour { none, green, blue, yellow, red };

struct Cell {
    std::string text;  // UTF-8; empty is shown as `-`
    Colour colour = Colour::none;
};

class Table {
public:
    explicit Table(std::vector<std::string> headers);
    // As many cells as there are headers.
    void row(std::vector<Cell> cells);
    [[nodiscard]] bool empty() const { return rows_.empty(); }
    // One line a row, columns two spaces apart, no spaces at line ends.
    [[nodiscard]] std::string str(bool coloured) const;

private:
    std::vector<std::string> headers_;
    std::vector<std::size_t> widths_;
    std::vector<std::vector<Cell>> rows_;
};

// `text` in that colour, if `wanted`.
std::string painted(std::string_view text, Colour colour, bool wanted);
// Nothing in it steers a terminal: it comes from devices and files that anybody may have filled.
void make_printable(std::string& text);
// The colour of a FunctionState.
Colour colour_of_state(std::string_view state);
// Whether standard output wants colour: a terminal, and no NO_COLOR (no-color.org).
bool colour_wanted();

}  // namespace vfb::cli
