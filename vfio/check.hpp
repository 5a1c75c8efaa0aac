// SPDX-License-Identifier: GPL-2.0-or-later
//
// Looking at a device that is open, apart from resetting it.
#pragma once

#include "vfio/vfio.hpp"

namespace vfb::vfio {

// What VFIO and the device itself say; Code::lost when the device does not answer.
Result<DeviceInfo> inspect(int device, const pci::Address& address);

}  // namespace vfb::vfio
