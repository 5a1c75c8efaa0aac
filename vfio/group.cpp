// SPDX-License-Identifier: GPL-2.0-or-later
//
// The group backend: container, groups, devices, in the order that the kernel wants.
#include <fcntl.h>

#include <cerrno>
#include <map>

#include "ioctls.hpp"
#include "nodes.hpp"
#include "refusal.hpp"

namespace vfb::vfio {
namespace {

// What is being opened, for the errors of each step.
struct Opening {
    const SysRoot& root;
    const pci::Address& address;  // the first function stands for its group
    std::string node;
    std::string operation;
};

Opening opening_of(const SysRoot& root, const pci::Address& address, const std::string& node) {
    return {.root = root,
            .address = address,
            .node = node,
            .operation = "open " + root.dev().path(node) + " for " + address.str()};
}

// The node of each function's group.
Result<std::vector<std::string>> group_nodes(const SysRoot& root,
                                             const std::vector<pci::Address>& functions) {
    if (functions.empty()) return fail(Code::invalid, "open a group", "", "no function is named");
    std::vector<std::string> all;
    for (const pci::Address& address : functions) {
        const std::string operation = "open the group of " + address.str();
        VFB_TRY(const auto nodes, find_nodes(root, address));
        if (!nodes.group)
            return fail(Code::unsupported, operation, address.str(),
                        "this kernel has no VFIO groups (CONFIG_VFIO_GROUP)",
                        "use the iommufd backend");
        if (is_noiommu(*nodes.group)) return refuse_noiommu(operation, address);
        all.push_back(*nodes.group);
    }
    return all;
}

Result<UniqueFd> open_container(const Opening& opening) {
    auto container = opening.root.dev().open_file("vfio/vfio", O_RDWR);
    if (!container) return refuse_open(opening.root, "vfio/vfio", std::move(container).error());
    const auto version = ioctls::api_version(container->get());
    if (!version || *version != VFIO_API_VERSION)
        return fail(Code::unsupported, opening.operation, opening.address.str(),
                    "this kernel's VFIO speaks another version of its interface");
    const auto type1 = ioctls::has_type1v2(container->get());
    if (!type1 || !*type1)
        return fail(Code::unsupported, opening.operation, opening.address.str(),
                    "VFIO has no driver for this IOMMU (Type1v2)", "modprobe vfio_iommu_type1");
    return container;
}

Result<UniqueFd> open_node(const Opening& opening) {
    auto group = opening.root.dev().open_file(opening.node, O_RDWR);
    if (group) return group;
    if (group.error().errnum == EBUSY)
        return refuse_busy(opening.root, opening.operation, opening.address);
    return refuse_open(opening.root, opening.node, std::move(group).error());
}

// Only the first group of a container sets its IOMMU; those that follow join it.
Result<UniqueFd> open_in_container(const Opening& opening, int container, bool first) {
    VFB_TRY(auto group, open_node(opening));
    const auto flags = ioctls::group_flags(group.get());
    if (!flags)
        return refuse_container(opening.root, opening.operation, opening.address, flags.error());
    if ((*flags & VFIO_GROUP_FLAGS_VIABLE) == 0)
        return refuse_container(opening.root, opening.operation, opening.address, EBUSY);
    if (const auto done = ioctls::set_container(group.get(), container); !done)
        return refuse_container(opening.root, opening.operation, opening.address, done.error());
    if (!first) return group;
    if (const auto done = ioctls::set_type1v2(container); !done)
        return refuse_attach(opening.root, opening.operation, opening.address, done.error());
    return group;
}

}  // namespace

Result<GroupDescriptors> open_groups(const SysRoot& root,
                                     const std::vector<pci::Address>& functions) {
    VFB_TRY(const auto nodes, group_nodes(root, functions));
    GroupDescriptors descriptors;
    VFB_TRY(descriptors.container,
            open_container(opening_of(root, functions.front(), nodes.front())));
    std::map<std::string, int> groups;
    for (std::size_t i = 0; i < functions.size(); ++i) {
        if (!groups.contains(nodes[i])) {
            VFB_TRY(auto group, open_in_container(opening_of(root, functions[i], nodes[i]),
                                                  descriptors.container.get(), groups.empty()));
            groups.emplace(nodes[i], group.get());
            descriptors.groups.push_back(std::move(group));
        }
        auto device = ioctls::open_device(groups.at(nodes[i]), functions[i].str());
        if (!device)
            return refuse_device("open " + functions[i].str() + " of " + root.dev().path(nodes[i]),
                                 functions[i], device.error());
        descriptors.devices.push_back(std::move(*device));
    }
    return descriptors;
}

}  // namespace vfb::vfio
