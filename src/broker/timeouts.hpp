// SPDX-License-Identifier: GPL-2.0-or-later
//
// How long a device is waited for.
#pragma once

#include <chrono>

namespace vfb::broker {

// virtfnN links are there when the write to sriov_numvfs returns; this is for kernels that defer.
inline constexpr std::chrono::seconds kCreateTimeout{10};
// Drivers apply a MAC late, some after a round trip to firmware.
inline constexpr std::chrono::seconds kReadBackTimeout{2};

}  // namespace vfb::broker
