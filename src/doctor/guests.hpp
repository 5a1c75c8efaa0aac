// SPDX-License-Identifier: GPL-2.0-or-later
//
// Programs that run guests, by their names and command lines.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfb::doctor {

// By comm, of which the kernel keeps 15 characters.
bool runs_guests(std::string_view name);
// `2G`, `512M`, `2048`: a number with a unit of 1024, or else times `plain`; nullopt: neither.
std::optional<std::uint64_t> parse_size(std::string_view text, std::uint64_t plain);
// Whether the command line names a VFIO device.
bool has_vfio_device(const std::vector<std::string>& arguments);

}  // namespace vfb::doctor
