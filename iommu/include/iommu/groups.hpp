// SPDX-License-Identifier: GPL-2.0-or-later
//
// IOMMU groups and whether a function in one can be given to a guest
// (Documentation/driver-api/vfio.rst, Documentation/ABI/testing/sysfs-kernel-iommu_groups).
//
// The kernel's group is the truth; ACS is only read to explain it. Pure functions over sysfs and an
// inventory; they block on no device. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
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
    std::vector<pci::Address> members;
    std::string type;  // `DMA`, `DMA-FQ`, `identity`, ...; empty where unreadable
    std::vector<ReservedRegion> reserved_regions;
};

// All groups; empty when the kernel has no IOMMU in use.
Result<std::vector<Group>> read_groups(const SysRoot& root);
Result<Group> read_group(const SysRoot& root, std::uint32_t number);

// What the machine as a whole offers.
struct Platform {
    bool present = false;                     // any IOMMU registered (class/iommu not empty)
    std::string kind;                         // `intel`, `amd`, `smmu`, `virtio`, or ""
    bool groups = false;                      // any group exists
    std::optional<bool> interrupt_remapping;  // absent: cannot be told
    bool unsafe_interrupts_type1 = false;     // vfio_iommu_type1.allow_unsafe_interrupts
    bool unsafe_interrupts_iommufd = false;   // iommufd.allow_unsafe_interrupts
    bool noiommu_enabled = false;             // vfio.enable_unsafe_noiommu_mode
};
Result<Platform> read_platform(const SysRoot& root);

// A bridge on the way to the root that does not isolate, and the ACS controls it lacks.
struct AcsGap {
    pci::Address bridge;
    std::string bridge_name;           // device name from pci.ids
    std::vector<std::string> missing;  // of "SV", "RR", "CR", "UF"; all four: no ACS capability
    bool pcie_to_pci = false;          // never isolates, whatever it claims
};

// A member of the group that is in somebody's hands.
struct Obstacle {
    pci::Address address;
    std::string driver;
    std::vector<std::string> netdevs;
};

struct Verdict {
    bool viable = false;
    std::optional<std::uint32_t> group;
    std::vector<pci::Address> members;  // of the group, without bridges, the function included
    std::vector<Obstacle> obstacles;    // what stands in the way
    std::vector<AcsGap> gaps;           // why the group is larger than the function
    // When not viable: Code::not_viable (or Code::busy if only `in_use` members stand in the way),
    // reason and hint complete:
    // `group 5 also holds 0000:03:00.0 (igb, in use by eth1): bridge 0000:02:00.0 lacks ACS SV RR
    // CR UF`
    std::optional<Error> refusal;
};

// Whether `address` can be leased: it has a group, no other member of it is bound to a driver other
// than vfio's, pci-stub or none (bridges do not count), and interrupts are remapped or the operator
// has allowed unsafe ones. `claimed` are members that the caller owns as well (bound or to be bound
// to vfio-pci and leased together); they are no obstacles.
Result<Verdict> judge(const SysRoot& root, const Functions& functions, const pci::Address& address,
                      std::span<const pci::Address> claimed = {});

}  // namespace vfb::iommu
