// SPDX-License-Identifier: GPL-2.0-or-later
//
// Points in time, as people write and read them.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace vfb::cli {

// Seconds since the epoch as `2026-01-31T18:00:00Z`: UTC, so that it can be compared with other
// hosts' logs. Empty beyond the year 9999.
std::string moment_text(std::int64_t seconds);
// The other way, in seconds since the epoch: `2026-01-31`, with ` 18:00` or `T18:00:00` and `Z` or
// local time without; `18:00` of today; `today`, `yesterday`, `now`; `2h ago`, `-2h` (s, min, h, d,
// w); `@1767225600`. `now`: seconds since the epoch. Code::invalid says how it is written.
Result<std::int64_t> parse_moment(const std::string& text, std::int64_t now);

}  // namespace vfb::cli
