// SPDX-License-Identifier: GPL-2.0-or-later
#include "nodes.hpp"

#include <fmt/format.h>

namespace vfb::cdi {

Result<std::vector<std::string>> find_nodes(const SysRoot& root, const std::string& address,
                                            const std::string& backend) {
    const std::string device = "bus/pci/devices/" + address;
    std::string node;
    std::string context;
    if (backend == "iommufd") {
        const std::string folder = device + "/vfio-dev";
        if (!root.sys().exists(folder)) return {};
        VFB_TRY(const auto names, root.sys().list(folder));
        if (names.empty()) return {};
        node = "vfio/devices/" + names.front();
        context = "iommu";
    } else {
        VFB_TRY(const auto group, root.sys().link_name(device + "/iommu_group"));
        if (!group) return {};
        node = "vfio/" + *group;
        context = "vfio/vfio";
    }
    if (!root.dev().exists(node)) return {};
    return std::vector{root.dev().path(node), root.dev().path(context)};
}

}  // namespace vfb::cdi
