// SPDX-License-Identifier: GPL-2.0-or-later
//
// Everything that decides whether one function can be given to a guest, read once, and what follows
// from it as findings. Reading blocks on the device and enters network namespaces: a worker's work.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/finding.hpp"
#include "base/use.hpp"
#include "broker/device_work.hpp"
#include "iommu/groups.hpp"
#include "pci/binding.hpp"
#include "vfio/vfio.hpp"

namespace vfb::doctor {

struct GroupMember {
    pci::Address address;
    std::string name;  // from pci.ids, else `8086:10ca`
    bool bridge = false;
    std::optional<std::string> driver;
    std::vector<Use> uses;  // of the host
};

struct Explanation {
    pci::Function function;
    iommu::Platform platform;
    iommu::Verdict verdict;
    bool noiommu = false;    // its group was made by VFIO's no-IOMMU mode
    std::string group_type;  // `DMA-FQ`, `identity`, ...; empty where unreadable
    std::vector<iommu::ReservedRegion> reserved_regions;
    std::vector<GroupMember> members;          // of the group, bridges and the function included
    std::vector<iommu::BridgeOnPath> bridges;  // from the function up to the root
    std::vector<Use> uses;                     // of the host, of the function itself
    std::vector<vfio::Holder> holders;         // who has its VFIO node open
    std::vector<pci::VariantDriver> variants;
    vfio::Support support;
    std::string nodes;            // NUMA nodes of the machine: `0`, `0-1`; empty: has none
    std::string interrupts_hint;  // what to do where interrupts are not remapped
    // What could not be read, by the name of the check that needs it: it becomes a note.
    std::map<std::string, Error> unread;
};

// Code::not_found when there is no such function; all else that fails is in `unread`. `ssh_client`
// as of DeviceWork::host_uses().
Result<Explanation> explain(const SysRoot& root, broker::DeviceWork& work,
                            const pci::Address& address, const std::string& ssh_client);

// One finding or more for each check, in a fixed order. Pure. Checks: `driver`, `host-use`,
// `holders`, `iommu-group`, `acs`, `interrupt-remapping`, `unsafe-options`, `reserved-regions`,
// `reset`, `bars`, `vf-bars`, `numa`, `variant-driver`, `backend`.
std::vector<Finding> findings(const Explanation& explanation);

}  // namespace vfb::doctor
