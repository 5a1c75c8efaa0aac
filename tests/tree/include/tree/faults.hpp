// SPDX-License-Identifier: GPL-2.0-or-later
//
// Faults: what firmware, drivers and a dying device make of sysfs.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tree/tree.hpp"

namespace vfb::tree {

enum class Fault {
    no_modalias,        // reading falls back to the single attributes
    no_identity,        // neither modalias nor the attributes
    garbage_identity,   // all of them hold nonsense
    empty_numa_node,    // an empty file
    garbage_numa_node,  // "node0"
    garbage_resource,
    no_resource,
    empty_config,
    short_config,    // 16 bytes
    dead_config,     // all ones: the device does not answer
    header_config,   // 64 bytes, what a process without CAP_SYS_ADMIN gets
    looping_config,  // a capability list that runs in a circle
    no_config,
    garbage_group,      // the link leads to no number
    unreadable_driver,  // a folder where the link should be
    no_reset_method,
    dangling_link,  // bus/pci/devices leads nowhere
};

// In order of Fault, with a name for each.
const std::vector<std::pair<Fault, std::string_view>>& all_faults();
// Whether something of the function is then missing that must be reported.
bool is_reported(Fault fault);

// `tree` is the path of the tree.
Result<> break_function(const std::string& tree, const pci::Address& address, Fault fault);

}  // namespace vfb::tree
