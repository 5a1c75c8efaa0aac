// SPDX-License-Identifier: GPL-2.0-or-later
//
// Programs that run guests, by their names and command lines.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vfb::doctor {

// By comm, of which the kernel keeps 15 characters.
bool runs_guests(std::string_view name);
// Whether the command line names a VFIO device.
bool has_vfio_device(const std::vector<std::string>& arguments);

}  // namespace vfb::doctor
