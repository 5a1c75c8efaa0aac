// SPDX-License-Identifier: GPL-2.0-or-later
//
// Every ioctl of VFIO and iommufd that vfbroker makes. They say no more than the kernel does: an
// errno. Their callers know what it means where they stand.
#pragma once

#include <linux/vfio.h>

#include <cstdint>
#include <expected>
#include <string>

#include "base/unique_fd.hpp"

namespace vfb::vfio::ioctls {

template <class T = void>
using OrErrno = std::expected<T, int>;

// --- a container, `vfio/vfio`
OrErrno<int> api_version(int container);
OrErrno<bool> has_type1v2(int container);
OrErrno<> set_type1v2(int container);

// --- a group, `vfio/N`
OrErrno<std::uint32_t> group_flags(int group);  // VFIO_GROUP_FLAGS_*
OrErrno<> set_container(int group, int container);
OrErrno<UniqueFd> open_device(int group, const std::string& name);

// --- a device, by its cdev or of a group
OrErrno<> bind_iommufd(int cdev, int iommufd);
struct Device {
    std::uint32_t flags = 0;  // VFIO_DEVICE_FLAGS_*
    std::uint32_t regions = 0;
    std::uint32_t irqs = 0;
};
OrErrno<Device> device_info(int device);
struct Region {
    std::uint64_t size = 0;
    std::uint64_t offset = 0;
};
OrErrno<Region> region_info(int device, std::uint32_t index);
OrErrno<std::uint32_t> irq_count(int device, std::uint32_t index);

// --- an iommufd context, `iommu`
OrErrno<> set_rlimit_mode(int iommufd, std::uint64_t mode);
OrErrno<std::uint64_t> rlimit_mode(int iommufd);

}  // namespace vfb::vfio::ioctls
