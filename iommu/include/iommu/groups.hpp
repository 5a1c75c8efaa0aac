// SPDX-License-Identifier: GPL-2.0-or-later
//
// IOMMU groups and whether a function in one can be given to a guest
// (Documentation/driver-api/vfio.rst, Documentation/ABI/testing/sysfs-kernel-iommu_groups).
//
// The kernel's group is the truth; ACS is only read to explain it. Functions over sysfs, procfs and
// an inventory, without state of their own. Thread-safe. They block on no device but for judge(),
// which reads the config space of the bridges above a function whose group holds others as well.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/sys_root.hpp"
#include "pci/function.hpp"

namespace vfb::iommu {

// Functions by address, as the inventory holds them.
using Functions = std::map<pci::Address, pci::Function>;

struct ReservedRegion {
    std::uint64_t start = 0;
    std::uint64_t end = 0;  // inclusive, as sysfs prints it
    std::string type;       // `direct`, `direct-relaxable`, `reserved`, `msi`
    bool operator==(const ReservedRegion&) const = default;
};

struct Group {
    std::uint32_t number = 0;
    std::vector<pci::Address> members;  // PCI functions only, bridges included; in order
    std::string type;                   // `DMA`, `DMA-FQ`, `identity`, ...; empty where unreadable
    std::vector<ReservedRegion> reserved_regions;
    bool noiommu = false;  // made by VFIO's unsafe no-IOMMU mode: isolates nothing
    bool operator==(const Group&) const = default;
};

// All groups by number; empty when the kernel has no IOMMU in use. A group that vanishes while it
// is being read is left out.
Result<std::vector<Group>> read_groups(const SysRoot& root);
// Code::not_found when there is no such group.
Result<Group> read_group(const SysRoot& root, std::uint32_t number);

// What the machine as a whole offers.
struct Platform {
    bool present = false;                     // any IOMMU registered (class/iommu not empty)
    std::string kind;                         // `intel`, `amd`, `smmu`, `virtio`, or ""
    bool groups = false;                      // any group exists that an IOMMU made
    std::optional<bool> interrupt_remapping;  // absent: cannot be told (see read_platform)
    bool unsafe_interrupts_type1 = false;     // vfio_iommu_type1.allow_unsafe_interrupts
    bool unsafe_interrupts_iommufd = false;   // iommufd.allow_unsafe_interrupts
    bool noiommu_enabled = false;             // vfio.enable_unsafe_noiommu_mode
    bool operator==(const Platform&) const = default;
};
// Whether interrupts are remapped shows in the names of the interrupt chips in use
// (kernel/irq/N/chip_name): with remapping x86 calls them IR-IO-APIC and IR-PCI-MSI, without it
// IO-APIC and PCI-MSI; on Arm an ITS isolates, a GICv2m does not. Nothing else in sysfs tells: the
// `msi` reserved region is there either way, and the DMAR unit's ecap says what it could do.
Result<Platform> read_platform(const SysRoot& root);

// What to do where interrupts are not remapped, as a hint of an Error.
std::string interrupt_remapping_hint(const SysRoot& root);
// What to do where no IOMMU is in use: by the firmware's tables, the kernel command line and the
// processor's maker.
std::string iommu_hint(const SysRoot& root);

// A bridge on the way to the root that does not isolate, and the ACS controls it lacks. Found by
// the rules of the kernel (drivers/pci/pci.c, pci_acs_enabled), except for its list of devices that
// isolate without saying so: a bridge that the kernel left out of the group is therefore none.
struct AcsGap {
    pci::Address bridge;
    std::string bridge_name;           // from pci.ids, `8086:2448` where that has no name
    std::vector<std::string> missing;  // of "SV", "RR", "CR", "UF"
    bool capability = false;           // has ACS, and what is missing is only turned off
    bool pcie_to_pci = false;          // to conventional PCI: never isolates, whatever it claims
    // Not a bridge, but the function itself: nothing isolates it from the others of its device.
    bool multifunction = false;
    bool operator==(const AcsGap&) const = default;
};
// `bridge 0000:02:00.0 (Texas Instruments XIO3130) has no ACS`
std::string describe(const AcsGap& gap);

// What to do about them.
std::string acs_hint(const std::vector<AcsGap>& gaps);

enum class AcsControl { on, off, not_implemented, unknown };
std::string_view to_string(AcsControl control);  // `on`, `off`, `not-implemented`, `unknown`
// The controls that the kernel asks for, in the order of BridgeOnPath::controls.
inline constexpr std::array<std::string_view, 4> kAcsControls{"SV", "RR", "CR", "UF"};

// A bridge on the way from a function up to the root, whether or not it is at fault.
struct BridgeOnPath {
    pci::Address address;
    std::string name;  // from pci.ids, `8086:2448` where that has no name
    std::string kind;  // `root port`, `switch downstream port`, ..., `PCI bridge`
    std::optional<std::uint32_t> group;
    std::optional<bool> capability;  // has ACS; absent: its config space cannot be read
    std::array<AcsControl, 4> controls{AcsControl::unknown, AcsControl::unknown,
                                       AcsControl::unknown, AcsControl::unknown};
    // Why it does not isolate. Absent: it does, needs not to (an upstream port), or is unreadable.
    std::optional<AcsGap> gap;
    // It does not by its registers, and yet the kernel left it out of the function's group.
    bool quirk = false;
    bool operator==(const BridgeOnPath&) const = default;
};
// Every bridge above a function, the nearest first; a bridge is the first on its own way. Reads
// their config space: a worker's work.
std::vector<BridgeOnPath> path_to_root(const SysRoot& root, const Functions& functions,
                                       const pci::Function& function);

// A member of the group that is in the hands of a driver of the host.
struct Obstacle {
    pci::Address address;
    std::string driver;
    std::vector<std::string> netdevs;  // its interfaces that are up: those make it "in use"
    bool operator==(const Obstacle&) const = default;
};
// `0000:03:00.0 (igb, in use by eth1)`
std::string describe(const Obstacle& obstacle);
// The first few of them, and how many more.
std::string describe(const std::vector<Obstacle>& obstacles);

struct Verdict {
    bool viable = false;
    std::optional<std::uint32_t> group;
    std::vector<pci::Address> members;  // of the group, without bridges, the function included
    std::vector<Obstacle> obstacles;    // what stands in the way
    std::vector<AcsGap> gaps;           // why the group is larger than the function
    // Config space could not be read beyond 64 bytes (no CAP_SYS_ADMIN): `gaps` is not complete.
    bool gaps_unknown = false;
    // When not viable: Code::not_viable with reason and hint complete:
    // `group 5 also holds 0000:03:00.0 (igb, in use by eth1): bridge 0000:02:00.0 (Texas
    // Instruments XIO3130) has no ACS`
    std::optional<Error> refusal;
};

// Whether `address` can be leased: it has a group that an IOMMU made, no other member of it is
// bound to a driver other than vfio's, pci-stub or none (bridges do not count), and interrupts are
// remapped or the operator has allowed unsafe ones (for either backend). What the function itself
// is bound to does not matter: it will be bound to vfio-pci. `claimed` are members that the caller
// owns as well (bound or to be bound to vfio-pci and leased together); they are no obstacles.
//
// Members bound to a vfio driver are no obstacles to the kernel, but all of a group go to one
// owner: `members` says which they are.
//
// Code::not_found for a function that `functions` does not have, or that has left its group since
// they were read.
Result<Verdict> judge(const SysRoot& root, const Functions& functions, const pci::Address& address,
                      std::span<const pci::Address> claimed = {});

}  // namespace vfb::iommu
