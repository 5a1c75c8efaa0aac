// SPDX-License-Identifier: GPL-2.0-or-later
#include "refusal.hpp"

#include <cerrno>

#include "holders.hpp"
#include "iommu/groups.hpp"

namespace vfb::vfio {
namespace {

std::unexpected<Error> refuse(Code code, int errnum, const std::string& operation,
                              const pci::Address& address, std::string reason, std::string hint) {
    auto error = fail(code, operation, address.str(), std::move(reason), std::move(hint));
    error.error().errnum = errnum;
    return error;
}

std::string explain_hint(const pci::Address& address) {
    return "vfbroker explain " + address.str() + " shows the members of its group";
}

// EPERM has two causes: no interrupt remapping, or memory that the firmware has reserved.
std::unexpected<Error> refuse_isolation(const SysRoot& root, const std::string& operation,
                                        const pci::Address& address, int errnum) {
    const auto platform = iommu::read_platform(root);
    if (platform && platform->interrupt_remapping.value_or(false))
        return refuse(Code::not_viable, errnum, operation, address,
                      "the IOMMU driver does not let it go, as for functions whose memory the "
                      "firmware has reserved (RMRR)",
                      "a `direct` line in the group's reserved_regions shows it: look in the "
                      "firmware settings for what uses the card");
    return refuse(Code::not_viable, errnum, operation, address, "interrupts are not remapped",
                  iommu::interrupt_remapping_hint(root));
}

std::unexpected<Error> refuse_token(const std::string& operation, const pci::Address& address,
                                    int errnum) {
    return refuse(Code::denied, errnum, operation, address,
                  "its PF is bound to vfio-pci as well and asks for a VF token",
                  "bind the PF to the driver of its vendor");
}

std::unexpected<Error> refuse_vanished(const std::string& operation, const pci::Address& address,
                                       int errnum) {
    return refuse(Code::lost, errnum, operation, address,
                  "it is being unbound or has been unplugged", "");
}

}  // namespace

std::unexpected<Error> refuse_busy(const SysRoot& root, const std::string& operation,
                                   const pci::Address& address) {
    const auto holders = scan_holders(root, address);
    if (!holders) return std::unexpected(holders.error());
    return refuse(Code::busy, 0, operation, address, "it is " + describe_open(*holders),
                  "it is free when that process has closed it or ended");
}

std::unexpected<Error> refuse_noiommu(const std::string& operation, const pci::Address& address) {
    return refuse(Code::not_viable, 0, operation, address,
                  "it is in VFIO's no-IOMMU mode, where a guest can reach all memory of the host",
                  "vfbroker doctor says how to turn the IOMMU on");
}

std::unexpected<Error> refuse_open(const SysRoot& root, const std::string& node, Error error) {
    switch (error.errnum) {
        case EACCES:
            error.hint = root.dev().path(node) + " must be readable and writable for this user";
            break;
        case EPERM:
            error.hint = "a device cgroup forbids it: allow it, in a systemd unit by DeviceAllow=";
            break;
        case ENOENT:
        case ENXIO:
            error.code = Code::unsupported;
            error.hint = "the kernel module behind it is not loaded: modprobe vfio-pci";
            break;
        default:
            break;
    }
    return std::unexpected(std::move(error));
}

std::unexpected<Error> refuse_bind(const SysRoot& root, const pci::Address& address, int errnum) {
    const std::string operation = "bind " + address.str() + " to an iommufd";
    switch (errnum) {
        case EINVAL:  // bound by another descriptor already
            return refuse_busy(root, operation, address);
        case EBUSY: {  // its group is open, or another member has another owner
            const auto holders = scan_holders(root, address);
            if (holders && !holders->certain.empty()) return refuse_busy(root, operation, address);
            return refuse(Code::busy, errnum, operation, address,
                          "its group is in use by a driver of the host or by another context",
                          explain_hint(address));
        }
        case EPERM:
            return refuse_isolation(root, operation, address, errnum);
        case EACCES:
            return refuse_token(operation, address, errnum);
        case ENODEV:
            return refuse_vanished(operation, address, errnum);
        case EAGAIN:
            return refuse(Code::busy, errnum, operation, address,
                          "another operation on it holds the device's lock", "try again");
        case ENOTTY:
            return refuse(Code::unsupported, errnum, operation, address,
                          "this kernel cannot (CONFIG_VFIO_DEVICE_CDEV)", "use the group backend");
        default:
            return refuse(code_of_errno(errnum), errnum, operation, address, "",
                          "dmesg may say more");
    }
}

std::unexpected<Error> refuse_container(const std::string& operation, const pci::Address& address,
                                        int errnum) {
    if (errnum == EBUSY)
        return refuse(Code::not_viable, errnum, operation, address,
                      "another member of its group is bound to a driver of the host",
                      explain_hint(address));
    return refuse(code_of_errno(errnum), errnum, operation, address,
                  "the group cannot join a container", "dmesg may say more");
}

std::unexpected<Error> refuse_attach(const SysRoot& root, const std::string& operation,
                                     const pci::Address& address, int errnum) {
    if (errnum == EPERM) return refuse_isolation(root, operation, address, errnum);
    return refuse(code_of_errno(errnum), errnum, operation, address,
                  "the IOMMU cannot attach its group", "dmesg may say more");
}

std::unexpected<Error> refuse_device(const std::string& operation, const pci::Address& address,
                                     int errnum) {
    switch (errnum) {
        case EACCES:
            return refuse_token(operation, address, errnum);
        case ENODEV:
            return refuse_vanished(operation, address, errnum);
        case EAGAIN:
            return refuse(Code::busy, errnum, operation, address,
                          "another operation on it holds the device's lock", "try again");
        default:
            return refuse(code_of_errno(errnum), errnum, operation, address, "",
                          "dmesg may say more");
    }
}

}  // namespace vfb::vfio
