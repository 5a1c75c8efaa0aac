// SPDX-License-Identifier: GPL-2.0-or-later
//
// Whether a function can be given to a guest.
#include <fmt/format.h>

#include <algorithm>

#include "acs.hpp"
#include "iommu/groups.hpp"
#include "pci/binding.hpp"
#include "refusal.hpp"

namespace vfb::iommu {
namespace {

constexpr std::uint64_t kBridgeClass = 0x06;

// A member as far as a verdict needs it.
struct Member {
    pci::Address address;
    bool bridge = false;
    std::optional<std::string> driver;
    std::vector<std::string> netdevs;  // up
};

Member from_inventory(const pci::Function& function) {
    Member member{.address = function.address,
                  .bridge = function.is_bridge(),
                  .driver = function.driver,
                  .netdevs = {}};
    for (const pci::Netdev& netdev : function.netdevs)
        if (netdev.up) member.netdevs.push_back(netdev.name);
    return member;
}

// A member that came after the inventory was read is no less an obstacle.
Result<std::optional<Member>> from_sysfs(const SysRoot& root, const pci::Address& address) {
    const std::string folder = "bus/pci/devices/" + address.str();
    VFB_TRY(const auto class_code, root.sys().read_number_optional(folder + "/class"));
    if (!class_code) return std::nullopt;  // gone again
    VFB_TRY(auto driver, root.sys().link_name(folder + "/driver"));
    const auto code = static_cast<std::uint64_t>(*class_code);
    return Member{.address = address,
                  .bridge = code >> 16 == kBridgeClass && (code >> 8 & 0xff) == 0x04,
                  .driver = std::move(driver),
                  .netdevs = {}};
}

Result<std::vector<Member>> look_up(const SysRoot& root, const Functions& functions,
                                    const Group& group) {
    std::vector<Member> members;
    for (const pci::Address& address : group.members) {
        if (const auto known = functions.find(address); known != functions.end()) {
            members.push_back(from_inventory(known->second));
            continue;
        }
        VFB_TRY(auto member, from_sysfs(root, address));
        if (member) members.push_back(std::move(*member));
    }
    return members;
}

// Drivers that leave DMA to the user (the kernel's driver_managed_dma): pci-stub and VFIO's.
bool leaves_dma_alone(const std::string& driver) {
    return driver == "pci-stub" || pci::is_vfio_driver(driver);
}

bool is_obstacle(const Member& member, const pci::Address& address,
                 std::span<const pci::Address> claimed) {
    return !member.bridge && member.address != address && member.driver.has_value() &&
           !leaves_dma_alone(*member.driver) &&
           std::ranges::find(claimed, member.address) == claimed.end();
}

Result<Group> group_of(const SysRoot& root, const pci::Function& function) {
    VFB_TRY(auto group, read_group(root, function.group.value_or(0)));
    if (std::ranges::find(group.members, function.address) == group.members.end())
        return fail(Code::not_found, "judge " + function.address.str(), function.address.str(),
                    fmt::format("it has left group {} since the functions were read", group.number),
                    "it is being plugged or bound at this moment: try again");
    return group;
}

bool interrupts_are_safe(const Platform& platform) {
    return platform.interrupt_remapping.value_or(true) || platform.unsafe_interrupts_type1 ||
           platform.unsafe_interrupts_iommufd;
}

// Members, obstacles and gaps of a function's group.
Result<> fill(const SysRoot& root, const Functions& functions, const pci::Function& function,
              const Group& group, std::span<const pci::Address> claimed, Verdict& verdict) {
    VFB_TRY(const auto members, look_up(root, functions, group));
    for (const Member& member : members) {
        if (!member.bridge) verdict.members.push_back(member.address);
        if (is_obstacle(member, function.address, claimed))
            verdict.obstacles.push_back(
                {.address = member.address, .driver = *member.driver, .netdevs = member.netdevs});
    }
    if (verdict.members.size() < 2) return {};
    Gaps gaps = find_gaps(root, functions, function, group);
    verdict.gaps = std::move(gaps.found);
    verdict.gaps_unknown = gaps.unknown;
    return {};
}

}  // namespace

Result<Verdict> judge(const SysRoot& root, const Functions& functions, const pci::Address& address,
                      std::span<const pci::Address> claimed) {
    const auto found = functions.find(address);
    if (found == functions.end())
        return fail(Code::not_found, "judge " + address.str(), address.str(),
                    "there is no such function");
    const pci::Function& function = found->second;
    VFB_TRY(const auto platform, read_platform(root));
    Verdict verdict;
    verdict.group = function.group;
    if (!function.group) {
        verdict.members = {address};
        verdict.refusal = refuse_without_group(root, platform, address);
        return verdict;
    }
    VFB_TRY(const auto group, group_of(root, function));
    VFB_CHECK(fill(root, functions, function, group, claimed, verdict));
    if (group.noiommu)
        verdict.refusal = refuse_noiommu(root, platform, address);
    else if (!verdict.obstacles.empty())
        verdict.refusal = refuse_shared_group(functions, address, verdict);
    else if (!interrupts_are_safe(platform))
        verdict.refusal = refuse_unsafe_interrupts(root, address);
    verdict.viable = !verdict.refusal.has_value();
    return verdict;
}

}  // namespace vfb::iommu
