// SPDX-License-Identifier: GPL-2.0-or-later
//
// A large host: PFs with their VFs behind root ports and switches, some of which have no ACS, NVMe
// drives, accelerators, conventional PCI, several domains and NUMA nodes, odd drivers.
#pragma once

#include <cstdint>
#include <vector>

#include "tree/tree.hpp"

namespace vfb::tree {

struct HostOptions {
    std::uint64_t seed = 1;  // the same seed writes the same tree
    unsigned functions = 4096;
    unsigned pfs = 8;
    unsigned vfs = 256;  // of each PF
};

// The functions of such a host, in an order in which Tree takes them. There are at least as many as
// the PFs need with their VFs and the bridges above.
std::vector<FunctionSpec> plan_host(const HostOptions& options);
// Plans and writes it; returns what should be read of it, in order of address.
Result<std::vector<pci::Function>> write_host(const std::string& path, const HostOptions& options);

}  // namespace vfb::tree
