// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Open files of processes, as proc(5) shows them.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/sys_root.hpp"

namespace vfb {

// The device number of a character device, by its node or a descriptor's link in the folder `dir`;
// waits for no file server.
std::optional<dev_t> device_number(int dir, const std::string& name);

// Whether the descriptor `fd` of the process (its folder in proc) is O_PATH: that names a file
// without opening it, as udev does while it sets the owner of a node.
bool only_names_it(const Dir& process, const std::string& fd);

}  // namespace vfb
