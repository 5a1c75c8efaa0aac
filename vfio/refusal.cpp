// SPDX-License-Identifier: GPL-2.0-or-later
#include "refusal.hpp"

#include <fmt/format.h>

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

// The group that a function is in now.
std::optional<iommu::Group> group_of(const SysRoot& root, const pci::Address& address) {
    const auto name = root.sys().link_name("bus/pci/devices/" + address.str() + "/iommu_group");
    const auto number = name && *name ? parse_number(**name) : std::nullopt;
    if (!number) return std::nullopt;
    auto group = iommu::read_group(root, static_cast<std::uint32_t>(*number));
    if (!group) return std::nullopt;
    return std::move(*group);
}

// Why its group is not viable, as far as the drivers of the members tell: the inventory is not at
// hand here, and the little that a verdict needs of it is.
std::optional<Error> not_viable(const SysRoot& root, const pci::Address& address,
                                const iommu::Group& group) {
    pci::Function function;
    function.address = address;
    function.group = group.number;
    const auto verdict = iommu::judge(root, {{address, function}}, address);
    return verdict ? verdict->refusal : std::nullopt;
}

// The group is partly in other hands, and the kernel names nobody: those of a driver of the host,
// or of another process that has another member.
std::unexpected<Error> refuse_group(const SysRoot& root, const std::string& operation,
                                    const pci::Address& address, int errnum) {
    const std::string hint =
        "vfbroker explain " + address.str() + " shows the members of its group";
    const auto group = group_of(root, address);
    if (group) {
        if (const auto why = not_viable(root, address, *group))
            return refuse(Code::not_viable, errnum, operation, address, why->reason, hint);
        for (const pci::Address& member : group->members) {
            const auto holders = scan_holders(root, member);
            if (holders && (holders->self || !holders->certain.empty()))
                return refuse(Code::busy, errnum, operation, address,
                              fmt::format("{} of its group is {}", member, describe_open(*holders)),
                              hint);
        }
    }
    return refuse(Code::busy, errnum, operation, address, "another member of its group is in use",
                  hint);
}

std::unexpected<Error> refuse_interrupts(const SysRoot& root, const std::string& operation,
                                         const pci::Address& address) {
    return refuse(Code::not_viable, EPERM, operation, address, "interrupts are not remapped",
                  iommu::interrupt_remapping_hint(root));
}

// Whether EPERM can be for the interrupts' sake.
bool lacks_remapping(const SysRoot& root, Backend backend) {
    const auto platform = iommu::read_platform(root);
    if (!platform) return true;
    const bool allowed = backend == Backend::iommufd ? platform->unsafe_interrupts_iommufd
                                                     : platform->unsafe_interrupts_type1;
    return !allowed && !platform->interrupt_remapping.value_or(false);
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
        case EPERM:  // the group is another context's or a host driver's, unless:
            if (lacks_remapping(root, Backend::iommufd))
                return refuse_interrupts(root, operation, address);
            return refuse_group(root, operation, address, errnum);
        case EBUSY:  // the group is open
            return refuse_group(root, operation, address, errnum);
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

std::unexpected<Error> refuse_container(const SysRoot& root, const std::string& operation,
                                        const pci::Address& address, int errnum) {
    if (errnum == EBUSY) return refuse_group(root, operation, address, errnum);
    return refuse(code_of_errno(errnum), errnum, operation, address,
                  "the group cannot join a container", "dmesg may say more");
}

std::unexpected<Error> refuse_attach(const SysRoot& root, const std::string& operation,
                                     const pci::Address& address, int errnum) {
    if (errnum == EPERM && lacks_remapping(root, Backend::group))
        return refuse_interrupts(root, operation, address);
    if (errnum == EPERM)
        return refuse(Code::not_viable, errnum, operation, address,
                      "the IOMMU driver does not let it go, as for functions whose memory the "
                      "firmware has reserved (RMRR)",
                      "a `direct` line in the group's reserved_regions shows it: look in the "
                      "firmware settings for what uses the card");
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
