// SPDX-License-Identifier: GPL-2.0-or-later
//
// The group backend: container, group, devices, in the order that the kernel wants.
#include <fcntl.h>

#include <cerrno>

#include "ioctls.hpp"
#include "nodes.hpp"
#include "refusal.hpp"

namespace vfb::vfio {
namespace {

// What is being opened, for the errors of each step.
struct Opening {
    const SysRoot& root;
    const pci::Address& address;  // the first function stands for the group
    std::string node;
    std::string operation;
};

Result<std::string> common_node(const SysRoot& root, const std::vector<pci::Address>& functions) {
    std::optional<std::string> common;
    for (const pci::Address& address : functions) {
        const std::string operation = "open the group of " + address.str();
        VFB_TRY(const auto nodes, find_nodes(root, address));
        if (!nodes.group)
            return fail(Code::unsupported, operation, address.str(),
                        "this kernel has no VFIO groups (CONFIG_VFIO_GROUP)",
                        "use the iommufd backend");
        if (is_noiommu(*nodes.group)) return refuse_noiommu(operation, address);
        if (common && common != nodes.group)
            return fail(Code::invalid, operation, address.str(),
                        "it is in another group than " + functions.front().str());
        common = nodes.group;
    }
    if (!common) return fail(Code::invalid, "open a group", "", "no function of it was asked for");
    return *common;
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

Result<> attach(const Opening& opening, int group, int container) {
    const auto flags = ioctls::group_flags(group);
    if (!flags)
        return refuse_container(opening.root, opening.operation, opening.address, flags.error());
    if ((*flags & VFIO_GROUP_FLAGS_VIABLE) == 0)
        return refuse_container(opening.root, opening.operation, opening.address, EBUSY);
    if (const auto done = ioctls::set_container(group, container); !done)
        return refuse_container(opening.root, opening.operation, opening.address, done.error());
    if (const auto done = ioctls::set_type1v2(container); !done)
        return refuse_attach(opening.root, opening.operation, opening.address, done.error());
    return {};
}

}  // namespace

Result<GroupDescriptors> open_group(const SysRoot& root,
                                    const std::vector<pci::Address>& functions) {
    VFB_TRY(const auto node, common_node(root, functions));
    const Opening opening{
        .root = root,
        .address = functions.front(),
        .node = node,
        .operation = "open " + root.dev().path(node) + " for " + functions.front().str()};
    GroupDescriptors descriptors;
    VFB_TRY(descriptors.container, open_container(opening));
    VFB_TRY(descriptors.group, open_node(opening));
    VFB_CHECK(attach(opening, descriptors.group.get(), descriptors.container.get()));
    for (const pci::Address& address : functions) {
        auto device = ioctls::open_device(descriptors.group.get(), address.str());
        if (!device)
            return refuse_device("open " + address.str() + " of " + root.dev().path(node), address,
                                 device.error());
        descriptors.devices.push_back(std::move(*device));
    }
    return descriptors;
}

}  // namespace vfb::vfio
