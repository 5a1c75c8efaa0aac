// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A look at JSON text before it is parsed, so that what the parser builds is bounded.
#pragma once

#include <string_view>

#include "proto/connection.hpp"

namespace vfb::proto {

// One pass, no recursion: why `text` may not be parsed (too deep, too many members, a NUL in a
// string), or an empty view. It says nothing about whether the text is JSON.
std::string_view shape_problem(std::string_view text, const Limits& limits);

}  // namespace vfb::proto
