// SPDX-License-Identifier: GPL-2.0-or-later
//
// Function: what is known of one PCI function. A plain value, read by inventory.hpp.
// Fields that a function does not have are empty optionals or strings, never invented values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/shared_name.hpp"
#include "pci/address.hpp"

namespace vfb::pci {

// A memory or I/O window: as `resource` says, sizes in bytes.
struct Bar {
    std::uint64_t address = 0;
    std::uint64_t size = 0;
    std::uint8_t index = 0;  // 0..5, 6 = expansion ROM; for VF BARs 0..5
    bool io = false;
    bool prefetchable = false;
    bool is_64bit = false;
    bool operator==(const Bar&) const = default;
};

// The SR-IOV extended capability of a PF (PCIe 9.3.3) and the kernel's view of it.
struct SrIov {
    std::uint16_t total = 0;    // sriov_totalvfs: what the driver allows
    std::uint16_t enabled = 0;  // counted from the virtfnN links (reading sriov_numvfs can block)
    // From config space. Where only 64 bytes of it can be read (no CAP_SYS_ADMIN), offset, stride
    // and vf_device are those of sysfs, and the others absent.
    std::optional<std::uint16_t> initial;  // InitialVFs
    std::optional<std::uint16_t> offset;
    std::optional<std::uint16_t> stride;
    std::optional<std::uint16_t> vf_device;  // device id of the VFs
    std::optional<bool> ari;                 // ARI Capable Hierarchy
    std::vector<Bar> vf_bars;                // per VF; `address` is that of VF 0
    std::vector<Address> vfs;                // resolved virtfnN, in order of N
    bool operator==(const SrIov&) const = default;
};

struct Netdev {
    std::string name;
    int ifindex = 0;
    std::string mac;            // current
    std::string permanent_mac;  // empty where the driver has none
    bool up = false;            // IFF_UP
    bool operator==(const Netdev&) const = default;
};

struct Function {
    Address address;
    std::uint16_t vendor = 0;
    std::uint16_t device = 0;
    std::uint16_t subsystem_vendor = 0;
    std::uint16_t subsystem_device = 0;
    std::uint32_t class_code = 0;  // 24 bits: class, subclass, programming interface
    std::uint8_t revision = 0;
    std::uint8_t header_type = 0;  // 0 endpoint, 1 bridge (bit 7, multifunction, removed)
    bool multifunction = false;
    SharedName vendor_name;  // from pci.ids; empty when unknown
    SharedName device_name;
    SharedName class_name;

    std::optional<std::string> driver;  // bound driver
    std::vector<Netdev> netdevs;
    std::optional<int> numa_node;        // absent for -1
    std::optional<std::uint32_t> group;  // IOMMU group number: never a key, it changes
    SharedName reset_method;             // as the kernel lists them: `flr bus`
    std::vector<Bar> bars;
    SharedName slot;                        // physical slot name, if the platform has one
    std::optional<Address> parent;          // the bridge above; absent below a root bus
    std::optional<std::uint8_t> pcie_type;  // Device/Port Type of the PCIe capability

    std::optional<SrIov> sriov;             // this is a PF
    std::optional<Address> physfn;          // this is a VF, of that PF
    std::optional<std::uint16_t> vf_index;  // N of the PF's virtfnN

    bool operator==(const Function&) const = default;
    [[nodiscard]] bool is_pf() const { return sriov.has_value(); }
    [[nodiscard]] bool is_vf() const { return physfn.has_value(); }
    [[nodiscard]] bool is_bridge() const { return header_type == 1; }
    // `flr`, `bus`, ... in the kernel's order.
    [[nodiscard]] std::vector<std::string> reset_methods() const;
    // `8086:10c9`
    [[nodiscard]] std::string ids() const;
};

}  // namespace vfb::pci
