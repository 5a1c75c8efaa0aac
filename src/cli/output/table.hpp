// SPDX-License-Identifier: GPL-2.0-or-later
//
// Aligned columns with a header, for people; scripts use --json.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "output/columns.hpp"

namespace vfb::cli {

enum class Colour { none, green, blue, yellow, red };

struct Cell {
    std::string text;  // UTF-8; empty is shown as `-`
    Colour colour = Colour::none;
};

// Where something is printed.
struct Screen {
    bool coloured = false;
    std::optional<std::size_t> width;  // characters a line; absent: as many as it takes
};

class Table {
public:
    explicit Table(std::span<const Column> columns) : columns_(columns.begin(), columns.end()) {}
    // As many cells as there are columns.
    void row(std::vector<Cell> cells);
    [[nodiscard]] bool empty() const { return rows_.empty(); }
    // Only these columns, in that order, and all of them; names in any case. Code::invalid names
    // one that there is not.
    Result<> choose(const std::vector<std::string>& names);
    // One line a row, columns two spaces apart, no spaces at line ends. Where the screen is too
    // narrow, columns are left out, those first that say nothing, and cut, with an ellipsis, as far
    // as they may be.
    [[nodiscard]] std::string str(const Screen& screen) const;

private:
    using Positions = std::vector<std::size_t>;
    [[nodiscard]] std::size_t widest(std::size_t column) const;
    [[nodiscard]] bool says_nothing(std::size_t column) const;
    // Columns that may be left out, in the order in which they are.
    [[nodiscard]] Positions expendable() const;
    [[nodiscard]] Positions shown(const Screen& screen) const;
    [[nodiscard]] std::vector<std::size_t> widths(const Positions& shown,
                                                  const Screen& screen) const;

    std::vector<Column> columns_;
    std::optional<Positions> chosen_;
    std::vector<std::vector<Cell>> rows_;
};

// `text` in that colour, if `wanted`.
std::string painted(std::string_view text, Colour colour, bool wanted);
// Nothing in it steers a terminal: it comes from devices and files that anybody may have filled.
void make_printable(std::string& text);
// The colour of a FunctionState.
Colour colour_of_state(std::string_view state);
// Standard output. Colour and a width only where it is a terminal; no colour with NO_COLOR
// (no-color.org), no width when `wide`.
Screen standard_output(bool wide = false);

}  // namespace vfb::cli
