// SPDX-License-Identifier: GPL-2.0-or-later
#include "rdma.hpp"

#include <fmt/format.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <rdma/rdma_netlink.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "dump.hpp"
#include "nested.hpp"

namespace vfb::nic {
namespace {

constexpr const char* kClass = "class/infiniband";
constexpr const char* kVerbs = "class/infiniband_verbs";  // uverbsN
constexpr const char* kMad = "class/infiniband_mad";      // umadN and issmN, of subnet managers

// Completion queues and shared receive queues have a context or a protection domain as well.
constexpr std::array kKinds{
    RdmaKind{.command = RDMA_NLDEV_CMD_RES_CTX_GET,  // from Linux 5.16 on
             .list = RDMA_NLDEV_ATTR_RES_CTX,
             .entry = RDMA_NLDEV_ATTR_RES_CTX_ENTRY,
             .name = "context"},
    RdmaKind{.command = RDMA_NLDEV_CMD_RES_PD_GET,
             .list = RDMA_NLDEV_ATTR_RES_PD,
             .entry = RDMA_NLDEV_ATTR_RES_PD_ENTRY,
             .name = "PD"},
    RdmaKind{.command = RDMA_NLDEV_CMD_RES_MR_GET,
             .list = RDMA_NLDEV_ATTR_RES_MR,
             .entry = RDMA_NLDEV_ATTR_RES_MR_ENTRY,
             .name = "MR"},
    RdmaKind{.command = RDMA_NLDEV_CMD_RES_QP_GET,
             .list = RDMA_NLDEV_ATTR_RES_QP,
             .entry = RDMA_NLDEV_ATTR_RES_QP_ENTRY,
             .name = "QP"},
    RdmaKind{.command = RDMA_NLDEV_CMD_RES_CM_ID_GET,
             .list = RDMA_NLDEV_ATTR_RES_CM_ID,
             .entry = RDMA_NLDEV_ATTR_RES_CM_ID_ENTRY,
             .name = "CM ID"},
};

// Those that have objects on every device, used or not: the core, drivers, and IPoIB, whose network
// interface counts by what it is used for.
constexpr std::array<std::string_view, 4> kOfEveryDevice{"ib_core", "ib_ipoib", "mlx4_ib",
                                                         "mlx5_ib"};

constexpr int type_of_command(std::uint32_t command) {
    return static_cast<int>(RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, command));
}

std::string text_of(const nlattr* attribute) {
    const auto* const chars = reinterpret_cast<const char*>(data_of(attribute));
    return {chars, ::strnlen(chars, length_of(attribute))};
}

// The address of somebody who listens at all of them.
bool is_any(const nlattr* attribute) {
    const auto family = payload<sa_family_t>(attribute);
    if (family == AF_INET) {
        const auto address = payload<sockaddr_in>(attribute);
        return address && address->sin_addr.s_addr == INADDR_ANY;
    }
    if (family != AF_INET6) return false;
    const auto address = payload<sockaddr_in6>(attribute);
    return address && IN6_IS_ADDR_UNSPECIFIED(&address->sin6_addr);
}

void add_user(const nlattr* entry, const RdmaKind& kind, std::vector<RdmaUser>& users) {
    RdmaUser user;
    if (const auto* const pid = find_nested(entry, RDMA_NLDEV_ATTR_RES_PID))
        user.pid = static_cast<pid_t>(payload<std::uint32_t>(pid).value_or(0));
    if (const auto* const name = find_nested(entry, RDMA_NLDEV_ATTR_RES_KERN_NAME))
        user.kernel_name = text_of(name);
    if (std::ranges::find(kOfEveryDevice, user.kernel_name) != kOfEveryDevice.end()) return;
    const auto* const source = find_nested(entry, RDMA_NLDEV_ATTR_RES_SRC_ADDR);
    if (source != nullptr && is_any(source)) return;
    auto found = std::ranges::find_if(users, [&](const RdmaUser& known) {
        return known.pid == user.pid && known.kernel_name == user.kernel_name;
    });
    if (found == users.end()) found = users.insert(found, std::move(user));
    ++found->objects[kind.name];
}

struct OfDevice {
    nlattr attribute{.nla_len = NLA_HDRLEN + 4, .nla_type = RDMA_NLDEV_ATTR_DEV_INDEX};
    std::uint32_t index = 0;
};

// A device that has gone meanwhile is refused like a kind that the kernel does not know.
Result<> dump_of(std::uint32_t index, std::uint32_t command,
                 const std::function<void(nlmsghdr*)>& each) {
    const OfDevice request{.index = index};
    auto dumped = dump(NETLINK_RDMA, type_of_command(command), bytes_of(request), each);
    const bool nothing =
        !dumped && (dumped.error().code == Code::invalid || dumped.error().code == Code::not_found);
    if (nothing) return {};
    return dumped;
}

Result<std::vector<RdmaUser>> users_of(std::uint32_t index) {
    std::vector<RdmaUser> users;
    for (const auto& kind : kKinds)
        VFB_CHECK(dump_of(index, kind.command,
                          [&](nlmsghdr* message) { add_rdma_users(message, kind, users); }));
    return users;
}

Result<std::vector<std::pair<std::uint32_t, std::string>>> list_devices() {
    std::vector<std::pair<std::uint32_t, std::string>> devices;
    const auto add = [&](nlmsghdr* message) {
        nlattr* const index = nlmsg_find_attr(message, 0, RDMA_NLDEV_ATTR_DEV_INDEX);
        nlattr* const name = nlmsg_find_attr(message, 0, RDMA_NLDEV_ATTR_DEV_NAME);
        if (index != nullptr && name != nullptr && nla_len(index) >= 4)
            devices.emplace_back(nla_get_u32(index), text_of(name));
    };
    VFB_CHECK(dump(NETLINK_RDMA, type_of_command(RDMA_NLDEV_CMD_GET), {}, add));
    return devices;
}

// Of the network interfaces of its ports, those in the calling thread's namespace.
Result<std::set<int>> links_of(std::uint32_t index) {
    std::set<int> ifindexes;
    VFB_CHECK(dump_of(index, RDMA_NLDEV_CMD_PORT_GET, [&](nlmsghdr* message) {
        nlattr* const link = nlmsg_find_attr(message, 0, RDMA_NLDEV_ATTR_NDEV_INDEX);
        if (link != nullptr && nla_len(link) >= 4)
            ifindexes.insert(static_cast<int>(nla_get_u32(link)));
    }));
    return ifindexes;
}

bool is_pci_address(std::string_view part) {
    const auto only = [](std::string_view text) {
        return !text.empty() &&
               text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
    };
    const auto first = part.find(':');
    if (first == std::string_view::npos || part.size() != first + 8) return false;
    return only(part.substr(0, first)) && only(part.substr(first + 1, 2)) &&
           part[first + 3] == ':' && only(part.substr(first + 4, 2)) && part[first + 6] == '.' &&
           only(part.substr(first + 7));
}

}  // namespace

std::span<const RdmaKind> rdma_kinds() {
    return kKinds;
}

void add_rdma_users(nlmsghdr* message, const RdmaKind& kind, std::vector<RdmaUser>& users) {
    const nlattr* const list = nlmsg_find_attr(message, 0, kind.list);
    if (list == nullptr) return;
    for_each_nested(list, [&](const nlattr* entry) {
        if (type_of(entry) == kind.entry) add_user(entry, kind, users);
    });
}

std::string pci_address_in(const std::string& path) {
    std::string_view rest = path;
    while (!rest.empty()) {
        const auto slash = rest.rfind('/');
        const auto part = slash == std::string_view::npos ? rest : rest.substr(slash + 1);
        if (is_pci_address(part)) return std::string(part);
        rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(0, slash);
    }
    return {};
}

RdmaReader::RdmaReader(const SysRoot& root, const std::set<std::string>& functions)
    : root_(root),
      functions_(functions),
      // To open the socket of a kernel that has it as a module would load that.
      present_(root.sys().exists(kClass)) {
    if (!present_) return;
    read_nodes(kVerbs);
    read_nodes(kMad);
}

// Shown in every namespace, other than the RDMA devices themselves.
void RdmaReader::read_nodes(const char* node_class) {
    const auto names = root_.sys().list(node_class);
    if (!names) return;  // without ib_uverbs and ib_umad there are none
    for (const auto& name : *names) {
        const std::string folder = fmt::format("{}/{}", node_class, name);
        const auto path = root_.sys().read_link(folder);
        if (!path) continue;  // abi_version, or gone
        const std::string address = pci_address_in(*path);
        if (!address.empty() && !functions_.contains(address)) continue;
        const auto device = root_.sys().read(folder + "/ibdev");
        const auto number = root_.sys().read(folder + "/dev");
        if (!device || !number) continue;
        const auto colon = number->find(':');
        const auto major = parse_number(number->substr(0, colon));
        const auto minor =
            colon == std::string::npos ? std::nullopt : parse_number(number->substr(colon + 1));
        if (!major || !minor) continue;
        Nodes& nodes = nodes_[*device];
        nodes.pci_address = address;
        nodes.numbers.insert(makedev(static_cast<unsigned>(*major), static_cast<unsigned>(*minor)));
    }
}

// Of a device in a namespace of its own sysfs shows the node only.
std::string RdmaReader::pci_address_of(const std::string& name) const {
    if (const auto path = root_.sys().read_link(fmt::format("{}/{}", kClass, name)))
        return pci_address_in(*path);
    const auto node = nodes_.find(name);
    return node == nodes_.end() ? std::string() : node->second.pci_address;
}

Result<bool> RdmaReader::place(std::uint32_t index, RdmaDevice& device) {
    if (placed_.contains(device.name)) return false;
    device.pci_address = pci_address_of(device.name);
    if (device.pci_address.empty()) {
        VFB_TRY(device.ifindexes, links_of(index));
        if (device.ifindexes.empty()) return false;  // they are in another namespace
    }
    placed_.insert(device.name);
    return device.pci_address.empty() || functions_.contains(device.pci_address);
}

Result<> RdmaReader::read(Network& network) {
    if (!present_) return {};
    VFB_TRY(const auto devices, list_devices());
    for (const auto& [index, name] : devices) {
        RdmaDevice device;
        device.name = name;
        VFB_TRY(const bool wanted, place(index, device));
        if (!wanted) continue;
        if (const auto node = nodes_.find(name); node != nodes_.end())
            device.nodes = node->second.numbers;
        VFB_TRY(device.users, users_of(index));
        network.rdma.push_back(std::move(device));
    }
    return {};
}

}  // namespace vfb::nic
