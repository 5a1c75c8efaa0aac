// SPDX-License-Identifier: GPL-2.0-or-later
//
// Resetting a function and proving that it answers.
#include "check.hpp"

#include <fcntl.h>
#include <linux/pci_regs.h>
#include <unistd.h>

#include <cerrno>

#include "holders.hpp"
#include "ioctls.hpp"
#include "nodes.hpp"
#include "refusal.hpp"

namespace vfb::vfio {
namespace {

std::string operation_of(const pci::Address& address) {
    return "reset " + address.str();
}

constexpr const char* kAllOnes = "its config space reads all ones";

std::unexpected<Error> lost(const pci::Address& address, std::string reason) {
    return fail(Code::lost, operation_of(address), address.str(), std::move(reason),
                "it may have been unplugged or be broken: lspci -vvs " + address.str());
}

// Registers of a device that is gone read all ones; the status has bits that are never 1. VFIO
// makes up other registers of a VF, and of the status the bit that says there are capabilities.
bool is_lost(std::uint16_t status) {
    return (status | PCI_STATUS_CAP_LIST) == 0xffff;
}

Result<> check_answers(int device, const pci::Address& address) {
    const auto config = ioctls::region_info(device, VFIO_PCI_CONFIG_REGION_INDEX);
    if (!config)
        return fail_errno(config.error(), operation_of(address), address.str(),
                          "VFIO shows no config space");
    std::uint16_t status = 0xffff;
    const ssize_t n =
        ::pread(device, &status, sizeof(status), static_cast<off_t>(config->offset + PCI_STATUS));
    if (n < 0) return lost(address, "its config space cannot be read: " + errno_text(errno));
    if (is_lost(status)) return lost(address, kAllOnes);
    return {};
}

// Resetting a device that is gone takes the kernel more than a minute: it waits for it to come
// back.
Result<> check_before_reset(const SysRoot& root, const pci::Address& address) {
    const std::string name = "bus/pci/devices/" + address.str() + "/config";
    const auto config = root.sys().open_file(name, O_RDONLY);
    if (!config) return std::unexpected(config.error());
    std::uint16_t status = 0xffff;
    const ssize_t n = ::pread(config->get(), &status, sizeof(status), PCI_STATUS);
    if (n < 0) return fail_errno(errno, operation_of(address), address.str());
    if (is_lost(status)) return lost(address, kAllOnes);
    return {};
}

}  // namespace

Result<DeviceInfo> inspect(int device, const pci::Address& address) {
    const auto basics = ioctls::device_info(device);
    if (!basics)
        return fail_errno(basics.error(), operation_of(address), address.str(),
                          "VFIO tells nothing about it");
    DeviceInfo info;
    info.regions = basics->regions;
    info.irqs = basics->irqs;
    info.resettable = (basics->flags & VFIO_DEVICE_FLAGS_RESET) != 0;
    info.pci = (basics->flags & VFIO_DEVICE_FLAGS_PCI) != 0;
    for (unsigned index = 0; index < info.regions; ++index) {
        const auto region = ioctls::region_info(device, index);
        // EINVAL: an index that this device has no region for (VGA).
        if (!region && region.error() != EINVAL)
            return fail_errno(region.error(), operation_of(address), address.str(),
                              "VFIO cannot describe region " + std::to_string(index));
        info.region_sizes.push_back(region ? region->size : 0);
    }
    if (info.irqs > VFIO_PCI_MSIX_IRQ_INDEX) {
        const auto vectors = ioctls::irq_count(device, VFIO_PCI_MSIX_IRQ_INDEX);
        if (!vectors)
            return fail_errno(vectors.error(), operation_of(address), address.str(),
                              "VFIO cannot describe its interrupts");
        info.msix_vectors = *vectors;
    }
    VFB_CHECK(check_answers(device, address));
    return info;
}

namespace {

std::unexpected<Error> not_resettable(const SysRoot& root, const pci::Address& address) {
    const std::string name = "bus/pci/devices/" + address.str() + "/reset_method";
    const std::string methods = root.sys().read(name).value_or("");
    return fail(Code::unsupported, operation_of(address), address.str(),
                methods.empty() ? "the kernel knows no way to reset it"
                                : "the kernel could not reset it by any of: " + methods,
                "what one owner left in it would be there for the next; " + root.sys().path(name) +
                    " sets what is tried");
}

Result<DeviceInfo> check(const SysRoot& root, int device, const pci::Address& address) {
    VFB_TRY(auto info, inspect(device, address));
    if (!info.resettable) return not_resettable(root, address);
    return info;
}

}  // namespace

Result<> check_unheld(const SysRoot& root, const pci::Address& address) {
    const std::string operation = "take " + address.str() + " from its last owner";
    VFB_TRY(const auto holders, scan_holders(root, address));
    if (!holders.certain.empty()) return refuse_busy(root, operation, address);
    VFB_TRY(const auto node, group_node(root, address));
    if (!node || is_noiommu(*node)) return {};
    const auto group = root.dev().open_file(*node, O_RDWR);
    if (!group && group.error().errnum == EBUSY) return refuse_busy(root, operation, address);
    return {};
}

Result<DeviceInfo> reset_and_check(const SysRoot& root, const pci::Address& address,
                                   Backend backend) {
    // Who has the cdev open without having bound it could do so later, when the function is another
    // owner's, and opening it anew does not tell.
    VFB_TRY(const auto holders, scan_holders(root, address));
    if (!holders.certain.empty()) return refuse_busy(root, operation_of(address), address);
    VFB_CHECK(check_before_reset(root, address));
    if (backend == Backend::group) {
        VFB_TRY(const auto descriptors, open_groups(root, {address}));
        return check(root, descriptors.devices.front().get(), address);
    }
    VFB_TRY(const auto cdev, open_cdev(root, address));
    VFB_TRY(const auto context, open_iommufd(root, false));
    if (const auto bound = ioctls::bind_iommufd(cdev.get(), context.get()); !bound)
        return refuse_bind(root, address, bound.error());
    return check(root, cdev.get(), address);
}

}  // namespace vfb::vfio
