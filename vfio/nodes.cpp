// SPDX-License-Identifier: GPL-2.0-or-later
//
// Where VFIO has put a function.
#include "nodes.hpp"

#include <fmt/format.h>

#include <cerrno>

namespace vfb::vfio {
namespace {

std::string folder_of(const pci::Address& address) {
    return "bus/pci/devices/" + address.str();
}

// `vfio3`, or nullopt when no VFIO driver has the function. The folder is there since Linux 6.1,
// whether or not this kernel has device nodes.
Result<std::optional<std::string>> vfio_name(const Dir& sys, const pci::Address& address) {
    auto names = sys.list(folder_of(address) + "/vfio-dev");
    if (!names) {
        if (names.error().errnum == ENOENT) return std::nullopt;
        return std::unexpected(std::move(names).error());
    }
    if (names->empty()) return std::nullopt;
    return names->front();
}

std::unexpected<Error> not_bound(const Dir& sys, const pci::Address& address) {
    const std::string operation = "find the VFIO nodes of " + address.str();
    if (!sys.exists(folder_of(address)))
        return fail(Code::not_found, operation, address.str(), "there is no such function");
    const auto driver = sys.link_name(folder_of(address) + "/driver");
    const bool bound = driver && driver->has_value();
    return fail(Code::not_found, operation, address.str(),
                bound ? "it is bound to " + **driver + ", not to a VFIO driver"
                      : "it is bound to no driver",
                "bind it to vfio-pci first");
}

}  // namespace

Result<std::optional<std::string>> group_node(const SysRoot& root, const pci::Address& address) {
    VFB_TRY(const auto number, root.sys().link_name(folder_of(address) + "/iommu_group"));
    if (!number) return std::nullopt;
    for (const std::string& node : {"vfio/" + *number, "vfio/noiommu-" + *number})
        if (root.dev().exists(node)) return node;
    return std::nullopt;
}

bool is_noiommu(const std::string& node) {
    return node.contains("/noiommu-");
}

Result<Nodes> find_nodes(const SysRoot& root, const pci::Address& address) {
    VFB_TRY(auto nodes, nodes_if_bound(root, address));
    if (!nodes) return not_bound(root.sys(), address);
    return std::move(*nodes);
}

Result<std::optional<Nodes>> nodes_if_bound(const SysRoot& root, const pci::Address& address) {
    VFB_TRY(const auto name, vfio_name(root.sys(), address));
    if (!name) return std::nullopt;
    Nodes nodes;
    // `dev` is its number as a character device: only there with VFIO_DEVICE_CDEV.
    const std::string node = "vfio/devices/" + *name;
    if (root.sys().exists(fmt::format("{}/vfio-dev/{}/dev", folder_of(address), *name)) &&
        root.dev().exists(node))
        nodes.cdev = node;
    VFB_TRY(nodes.group, group_node(root, address));
    return nodes;
}

}  // namespace vfb::vfio
