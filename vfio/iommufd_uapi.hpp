// SPDX-License-Identifier: GPL-2.0-or-later
//
// The part of the iommufd user API that vfbroker uses, under names of its own: Debian 12 has no
// linux/iommufd.h, its linux/vfio.h has no VFIO_DEVICE_BIND_IOMMUFD, and newer headers have both.
// Layout and numbers are those of Linux 6.12, include/uapi/linux/iommufd.h and
// include/uapi/linux/vfio.h (GPL-2.0 WITH Linux-syscall-note).
#pragma once

#include <linux/ioctl.h>
#include <linux/types.h>

namespace vfb::vfio::uapi {

// struct vfio_device_bind_iommufd; the ioctl is _IO(VFIO_TYPE, VFIO_BASE + 18).
struct BindIommufd {
    __u32 argsz;
    __u32 flags;  // must be 0
    __s32 iommufd;
    __u32 out_devid;
};
static_assert(sizeof(BindIommufd) == 16);
constexpr unsigned long kBindIommufd = _IO(';', 100 + 18);

// struct iommu_option; IOMMUFD_TYPE is ';' and IOMMUFD_CMD_OPTION 0x87.
struct Option {
    __u32 size;
    __u32 option_id;
    __u16 op;
    __u16 reserved;
    __u32 object_id;
    __aligned_u64 val64;
};
static_assert(sizeof(Option) == 24);
constexpr unsigned long kOption = _IO(';', 0x87);
constexpr __u32 kOptionRlimitMode = 0;  // IOMMU_OPTION_RLIMIT_MODE: 0 by user, 1 by process
constexpr __u16 kOptionSet = 0;         // IOMMU_OPTION_OP_SET
constexpr __u16 kOptionGet = 1;         // IOMMU_OPTION_OP_GET

}  // namespace vfb::vfio::uapi
