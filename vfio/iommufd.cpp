// SPDX-License-Identifier: GPL-2.0-or-later
//
// Opening what the iommufd backend hands off.
#include <fcntl.h>

#include <cerrno>

#include "ioctls.hpp"
#include "nodes.hpp"
#include "refusal.hpp"

namespace vfb::vfio {

Result<UniqueFd> open_cdev(const SysRoot& root, const pci::Address& address) {
    VFB_TRY(const auto nodes, find_nodes(root, address));
    const std::string operation = "open the VFIO device of " + address.str();
    if (nodes.group && is_noiommu(*nodes.group)) return refuse_noiommu(operation, address);
    if (!nodes.cdev)
        return fail(Code::unsupported, operation, address.str(),
                    "this kernel has no VFIO device nodes (CONFIG_VFIO_DEVICE_CDEV)",
                    "use the group backend");
    auto fd = root.dev().open_file(*nodes.cdev, O_RDWR);
    if (!fd) {
        Error error = std::move(fd).error();
        error.subject = address.str();
        return refuse_open(root, *nodes.cdev, std::move(error));
    }
    return fd;
}

Result<UniqueFd> open_iommufd(const SysRoot& root, bool charge_process) {
    auto fd = root.dev().open_file("iommu", O_RDWR);
    if (!fd) return refuse_open(root, "iommu", std::move(fd).error());
    if (!charge_process) return fd;
    const std::string path = root.dev().path("iommu");
    const std::string operation = "charge pinned memory to the process";
    if (const auto done = ioctls::set_rlimit_mode(fd->get(), 1); !done)
        return fail_errno(done.error(), operation, path, "",
                          done.error() == EPERM ? "it needs CAP_SYS_RESOURCE" : "");
    const auto mode = ioctls::rlimit_mode(fd->get());
    if (!mode) return fail_errno(mode.error(), operation, path);
    if (*mode != 1) return fail(Code::failed, operation, path, "the kernel did not take it");
    return fd;
}

}  // namespace vfb::vfio
