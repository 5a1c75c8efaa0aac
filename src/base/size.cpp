// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/size.hpp"

#include <fmt/format.h>

#include <array>
#include <cstddef>

namespace vfb {

std::string readable_size(std::uint64_t bytes) {
    constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    while (bytes >= 1024 && bytes % 1024 == 0 && unit + 1 < kUnits.size()) {
        bytes /= 1024;
        ++unit;
    }
    return fmt::format("{} {}", bytes, kUnits[unit]);
}

}  // namespace vfb
