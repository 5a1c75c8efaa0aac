// SPDX-License-Identifier: GPL-2.0-or-later
//
// VFIO by its two backends (Documentation/driver-api/vfio.rst, Documentation/userspace-api/
// iommufd.rst): `iommufd` (device cdev + /dev/iommu) and `group` (container + group). The only user
// of linux/vfio.h and of the iommufd UAPI (Debian 12's headers lack linux/iommufd.h: the few
// definitions used are carried in vfio/).
//
// Calls marked "touches the device" block for the time of an FLR (about 100 ms) or longer: they
// belong into a worker.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/sys_root.hpp"
#include "base/unique_fd.hpp"
#include "pci/address.hpp"

namespace vfb::vfio {

enum class Backend { iommufd, group };
std::string_view to_string(Backend backend);
std::optional<Backend> backend_from_string(std::string_view name);

// What this kernel has, and in words why a backend is missing.
struct Support {
    bool iommufd = false;        // /dev/iommu and VFIO_DEVICE_CDEV
    bool group = false;          // /dev/vfio/vfio and VFIO_GROUP
    std::string iommufd_reason;  // why not, when not
    std::string group_reason;
    // iommufd when it is there, else group; Code::unsupported with both reasons when none is.
    [[nodiscard]] Result<Backend> preferred() const;
};
// VFIO registers a range of character devices for each backend (proc/devices: `vfio-dev` with
// VFIO_DEVICE_CDEV, `vfio` with VFIO_GROUP), as soon as its module is loaded. Where procfs does not
// tell, `bound`, a function that is bound to a VFIO driver, does.
Support read_support(const SysRoot& root, const std::optional<pci::Address>& bound);

// Device nodes of a function bound to a VFIO driver, relative to /dev. Absent are those that this
// kernel does not make.
struct Nodes {
    std::optional<std::string> cdev;   // `vfio/devices/vfio3`
    std::optional<std::string> group;  // `vfio/5` (or `vfio/noiommu-5`)
    bool operator==(const Nodes&) const = default;
};
// Code::not_found when it is not bound to a VFIO driver. The numbers change at every binding.
Result<Nodes> find_nodes(const SysRoot& root, const pci::Address& address);

// --- hand-off, iommufd: opening these touches no device.
// The cdev, unbound (VMMs issue VFIO_DEVICE_BIND_IOMMUFD themselves). The kernel lets any number of
// processes open it, even while one of them has bound it: opening proves nothing about who uses the
// function. Only one may bind it at a time; the others get EINVAL, and may bind it as soon as the
// first has closed. An open descriptor, bound or not, holds up the unbinding of the driver for
// ever. Code::not_viable in VFIO's no-IOMMU mode.
Result<UniqueFd> open_cdev(const SysRoot& root, const pci::Address& address);
// A fresh, empty context. `charge_process` sets IOMMU_OPTION_RLIMIT_MODE=1, so that pinned memory
// is charged to the process and VMs of one uid do not collide (needs CAP_SYS_RESOURCE).
Result<UniqueFd> open_iommufd(const SysRoot& root, bool charge_process);

// --- hand-off, group backend: touches the devices.
struct GroupDescriptors {
    UniqueFd container;
    std::vector<UniqueFd> groups;   // each once, in the order in which the functions need them
    std::vector<UniqueFd> devices;  // in the order asked for
};
// Opens one container (Type1v2), the groups of the functions, and each function's device
// descriptor. Code::busy with the holders named when a group is open elsewhere or a function of it
// is bound to an iommufd, Code::not_viable when a driver of the host has a member, interrupts are
// not remapped, or the group is one of VFIO's no-IOMMU mode.
Result<GroupDescriptors> open_groups(const SysRoot& root,
                                     const std::vector<pci::Address>& functions);

// --- self-check and reset: touch the device.
struct DeviceInfo {
    unsigned regions = 0;
    unsigned irqs = 0;
    bool resettable = false;  // VFIO_DEVICE_FLAGS_RESET: the reset at first open worked
    bool pci = false;
    std::vector<std::uint64_t> region_sizes;
    unsigned msix_vectors = 0;
};
// Takes the function exclusively, which resets it (FLR at first open), checks that it answers
// (device info, regions, irqs, MSI-X count, a config read that is not all ones), and closes it,
// which resets it again. Success proves that no other process had bound it (group: opened it), and
// that none that find_holders() can see had its cdev open, from where it could bind it later. That
// nobody at all has it open, only unbinding the driver proves: see check_unheld().
// Code::busy names the holders, Code::unsupported is a function that cannot be reset, Code::lost
// one that does not answer, Code::not_viable one that the IOMMU does not isolate.
Result<DeviceInfo> reset_and_check(const SysRoot& root, const pci::Address& address,
                                   Backend backend);

// What to ask before the driver is unbound from a function that somebody had: that waits for ever
// for whoever has it open, wherever the descriptor is, and a cdev that was open before says nothing
// to the driver that is bound next. Code::busy names those that find_holders() can see, and refuses
// a function that is driven by a descriptor that nobody can be seen to have (the group cannot be
// opened then). Who hides a cdev that he has not bound is not found: the unbinding waits for him.
// Touches no device.
Result<> check_unheld(const SysRoot& root, const pci::Address& address);

// --- who has it open (reads proc; needs CAP_SYS_PTRACE or root for other users' processes).
struct Holder {
    pid_t pid = 0;
    std::string name;  // comm
    bool operator==(const Holder&) const = default;
};
// Processes with the function's cdev, its group or (from Linux 6.17 on, where fdinfo names it) a
// device descriptor of it open, excluding the calling process; in order of pid. While the driver is
// being unbound from a function that is held, its cdev has no name any more: then every process
// with a deleted VFIO cdev open counts. Threads with descriptors of their own are looked into as
// well. Descriptors that are on their way in a socket or registered with an io_uring, or of which
// only a mapping is left, belong to no process that could be found.
Result<std::vector<Holder>> find_holders(const SysRoot& root, const pci::Address& address);
// The same for several, in their order: every process is looked into once, not once for each.
Result<std::vector<std::vector<Holder>>> find_holders(const SysRoot& root,
                                                      std::span<const pci::Address> addresses);
std::string describe(const std::vector<Holder>& holders);  // `pid 812 (qemu-system-x86)`

}  // namespace vfb::vfio
