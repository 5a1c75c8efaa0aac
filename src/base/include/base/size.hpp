// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>

namespace vfb {

// Bytes in the largest binary unit that leaves a whole number: `16 KiB`, `1536 MiB`.
std::string readable_size(std::uint64_t bytes);

}  // namespace vfb
