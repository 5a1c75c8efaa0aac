// SPDX-License-Identifier: GPL-2.0-or-later
//
// The columns of every table: their names, what they mean, and what becomes of them where the
// terminal is too narrow. `vfbroker help columns` prints what stands here.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace vfb::cli {

struct Column {
    std::string_view name;       // as in the header
    std::string_view text = {};  // what it means
    // Characters that are left when it is cut; 0: it is never cut.
    unsigned least = 0;
    // Those with the highest are left out first; 0: never.
    unsigned leave_out = 0;
};

struct TableKind {
    std::string_view name;  // whose output it is, as `list`
    std::span<const Column> columns;
};

std::span<const TableKind> table_kinds();
// Empty for an unknown name.
std::span<const Column> columns_of(std::string_view table);

}  // namespace vfb::cli
