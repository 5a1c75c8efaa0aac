// SPDX-License-Identifier: GPL-2.0-or-later
//
// Many addresses in few words.
#pragma once

#include <string>
#include <vector>

#include "proto/json.hpp"

namespace vfb::cli {

// Whether it is one as the daemon writes them, `0000:01:10.0`.
bool is_address(const std::string& text);
// The texts of the list with spaces between. Three or more with the same step from one to the next
// are `0000:01:10.0-0000:01:11.4 (7, every 2nd)`: VFs stand like that, by their PF's offset and
// stride.
std::string address_ranges(const std::vector<proto::Json>& addresses);

}  // namespace vfb::cli
