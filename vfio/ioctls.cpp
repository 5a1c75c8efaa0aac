// SPDX-License-Identifier: GPL-2.0-or-later
#include "ioctls.hpp"

#include <sys/ioctl.h>

#include <cerrno>

#include "iommufd_uapi.hpp"

namespace vfb::vfio::ioctls {
namespace {

// The value of ioctl(2), which is never negative here, or the errno.
template <class Argument>
OrErrno<int> call(int fd, unsigned long request, Argument argument) {
    for (;;) {
        const int value = ::ioctl(fd, request, argument);
        if (value >= 0) return value;
        if (errno != EINTR) return std::unexpected(errno);
    }
}

template <class Argument>
OrErrno<> call_void(int fd, unsigned long request, Argument argument) {
    const auto value = call(fd, request, argument);
    if (!value) return std::unexpected(value.error());
    return {};
}

}  // namespace

OrErrno<int> api_version(int container) {
    return call(container, VFIO_GET_API_VERSION, 0UL);
}

OrErrno<bool> has_type1v2(int container) {
    const auto value =
        call(container, VFIO_CHECK_EXTENSION, static_cast<unsigned long>(VFIO_TYPE1v2_IOMMU));
    if (!value) return std::unexpected(value.error());
    return *value != 0;
}

OrErrno<> set_type1v2(int container) {
    return call_void(container, VFIO_SET_IOMMU, static_cast<unsigned long>(VFIO_TYPE1v2_IOMMU));
}

OrErrno<std::uint32_t> group_flags(int group) {
    vfio_group_status status{.argsz = sizeof(status), .flags = 0};
    const auto done = call(group, VFIO_GROUP_GET_STATUS, &status);
    if (!done) return std::unexpected(done.error());
    return status.flags;
}

OrErrno<> set_container(int group, int container) {
    return call_void(group, VFIO_GROUP_SET_CONTAINER, &container);
}

OrErrno<UniqueFd> open_device(int group, const std::string& name) {
    const auto fd = call(group, VFIO_GROUP_GET_DEVICE_FD, name.c_str());
    if (!fd) return std::unexpected(fd.error());
    return UniqueFd(*fd);  // the kernel makes it CLOEXEC
}

OrErrno<> bind_iommufd(int cdev, int iommufd) {
    uapi::BindIommufd bind{.argsz = sizeof(bind), .flags = 0, .iommufd = iommufd, .out_devid = 0};
    return call_void(cdev, uapi::kBindIommufd, &bind);
}

OrErrno<Device> device_info(int device) {
    vfio_device_info info{};
    info.argsz = sizeof(info);
    const auto done = call(device, VFIO_DEVICE_GET_INFO, &info);
    if (!done) return std::unexpected(done.error());
    return Device{.flags = info.flags, .regions = info.num_regions, .irqs = info.num_irqs};
}

OrErrno<Region> region_info(int device, std::uint32_t index) {
    vfio_region_info info{};
    info.argsz = sizeof(info);
    info.index = index;
    const auto done = call(device, VFIO_DEVICE_GET_REGION_INFO, &info);
    if (!done) return std::unexpected(done.error());
    return Region{.size = info.size, .offset = info.offset};
}

OrErrno<std::uint32_t> irq_count(int device, std::uint32_t index) {
    vfio_irq_info info{};
    info.argsz = sizeof(info);
    info.index = index;
    const auto done = call(device, VFIO_DEVICE_GET_IRQ_INFO, &info);
    if (!done) return std::unexpected(done.error());
    return info.count;
}

OrErrno<> set_rlimit_mode(int iommufd, std::uint64_t mode) {
    uapi::Option option{};
    option.size = sizeof(option);
    option.option_id = uapi::kOptionRlimitMode;
    option.op = uapi::kOptionSet;
    option.val64 = mode;
    return call_void(iommufd, uapi::kOption, &option);
}

OrErrno<std::uint64_t> rlimit_mode(int iommufd) {
    uapi::Option option{};
    option.size = sizeof(option);
    option.option_id = uapi::kOptionRlimitMode;
    option.op = uapi::kOptionGet;
    const auto done = call(iommufd, uapi::kOption, &option);
    if (!done) return std::unexpected(done.error());
    return option.val64;
}

}  // namespace vfb::vfio::ioctls
