// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the files of this module share about device nodes.
#pragma once

#include "vfio/vfio.hpp"

namespace vfb::vfio {

// The group's node, relative to /dev, which outlives the binding of a function that is held.
Result<std::optional<std::string>> group_node(const SysRoot& root, const pci::Address& address);

// find_nodes(), without an error when no VFIO driver has the function.
Result<std::optional<Nodes>> nodes_if_bound(const SysRoot& root, const pci::Address& address);

// Whether it is a node of VFIO's unsafe no-IOMMU mode.
bool is_noiommu(const std::string& node);

}  // namespace vfb::vfio
