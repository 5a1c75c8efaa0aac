// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Use: one reason of the host not to give a function away.
#pragma once

#include <string>

namespace vfb {

struct Use {
    std::string kind;  // stable, for programs: those that a finder knows are in its header
    std::string text;  // `eth0 has the address 192.0.2.1/24`
    bool operator==(const Use&) const = default;
};

}  // namespace vfb
