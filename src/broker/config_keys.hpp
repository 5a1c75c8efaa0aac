// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a key that no table knows was probably meant to be. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace vfb::broker {

// `did you mean 'vfs'?`, or in which table such a key belongs, or nothing. `title`: of the table
// (`[pf.uplink]`), which knows `known`. Goes by what other programs call it (`num_vfs`, `vlan_id`),
// how it is written (`Link-Up`) and typing errors.
std::string key_hint(std::string_view key, std::string_view title,
                     std::span<const std::string_view> known);

}  // namespace vfb::broker
