// SPDX-License-Identifier: GPL-2.0-or-later
//
// What an errno of VFIO means where it is returned: one place for reasons and hints.
#pragma once

#include "vfio/vfio.hpp"

namespace vfb::vfio {

// Some process, named, has what is wanted for itself alone.
std::unexpected<Error> refuse_busy(const SysRoot& root, const std::string& operation,
                                   const pci::Address& address);
std::unexpected<Error> refuse_noiommu(const std::string& operation, const pci::Address& address);
// open(2) of a node below /dev.
std::unexpected<Error> refuse_open(const SysRoot& root, const std::string& node, Error error);
// VFIO_DEVICE_BIND_IOMMUFD of a cdev.
std::unexpected<Error> refuse_bind(const SysRoot& root, const pci::Address& address, int errnum);
// VFIO_GROUP_SET_CONTAINER: EBUSY says that the group is not viable.
std::unexpected<Error> refuse_container(const SysRoot& root, const std::string& operation,
                                        const pci::Address& address, int errnum);
// VFIO_SET_IOMMU, which attaches the group.
std::unexpected<Error> refuse_attach(const SysRoot& root, const std::string& operation,
                                     const pci::Address& address, int errnum);
// VFIO_GROUP_GET_DEVICE_FD, which opens and resets the device.
std::unexpected<Error> refuse_device(const std::string& operation, const pci::Address& address,
                                     int errnum);

}  // namespace vfb::vfio
