// SPDX-License-Identifier: GPL-2.0-or-later
//
// What can be said of VF attributes without asking the kernel.
#include "nic/vf_attributes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "attributes.hpp"

namespace vfb::nic {
namespace {

template <class Predicate>
std::vector<std::string> names_where(Predicate holds) {
    std::vector<std::string> names;
    for (const auto& attribute : attribute_table())
        if (holds(attribute)) names.emplace_back(attribute.info.name);
    return names;
}

}  // namespace

const Attribute* find_attribute(std::string_view name) {
    const auto table = attribute_table();
    const auto found = std::ranges::find(
        table, name, [](const Attribute& attribute) { return attribute.info.name; });
    return found == table.end() ? nullptr : &*found;
}

std::string_view to_string(VlanProtocol protocol) {
    return protocol == VlanProtocol::dot1ad ? "802.1ad" : "802.1Q";
}

std::string_view to_string(LinkState state) {
    switch (state) {
        case LinkState::enable:
            return "enable";
        case LinkState::disable:
            return "disable";
        case LinkState::automatic:
            break;
    }
    return "auto";
}

std::optional<VlanProtocol> vlan_protocol_from_string(std::string_view text) {
    for (const auto protocol : {VlanProtocol::dot1q, VlanProtocol::dot1ad})
        if (to_string(protocol) == text) return protocol;
    return std::nullopt;
}

std::optional<LinkState> link_state_from_string(std::string_view text) {
    for (const auto state : {LinkState::automatic, LinkState::enable, LinkState::disable})
        if (to_string(state) == text) return state;
    return std::nullopt;
}

VfAttributes safe_defaults() {
    VfAttributes defaults;
    for (const auto& attribute : attribute_table()) attribute.set_default(defaults);
    defaults.mac.reset();
    defaults.node_guid.reset();
    defaults.port_guid.reset();
    return defaults;
}

VfAttributes overlay(const VfAttributes& base, const VfAttributes& over) {
    VfAttributes result = base;
    for (const auto& attribute : attribute_table())
        if (attribute.is_set(over)) attribute.copy(result, over);
    return result;
}

std::vector<std::string> differing(const VfAttributes& wanted, const VfAttributes& actual) {
    return names_where([&](const auto& attribute) { return differs(attribute, wanted, actual); });
}

std::vector<std::string> names_of(const VfAttributes& attributes) {
    return names_where([&](const auto& attribute) { return attribute.is_set(attributes); });
}

Result<> validate(const VfAttributes& attributes) {
    for (const auto& attribute : attribute_table()) {
        if (is_valid(attribute, attributes)) continue;
        const std::string name(attribute.info.name);
        return fail(
            Code::invalid, "set " + name, name,
            attribute.format(attributes) + " is not " + std::string(attribute.info.expected));
    }
    return {};
}

std::span<const AttributeInfo> attribute_infos() {
    static const auto infos = [] {
        std::vector<AttributeInfo> list;
        for (const auto& attribute : attribute_table()) list.push_back(attribute.info);
        return list;
    }();
    return infos;
}

Result<> set_from_text(VfAttributes& attributes, std::string_view name, std::string_view text) {
    const auto* const attribute = find_attribute(name);
    if (attribute == nullptr)
        return fail(Code::not_found, fmt::format("set {:?}", name.substr(0, 32)), {},
                    "there is no such attribute");
    VfAttributes parsed;
    if (!attribute->parse(text, parsed) || !is_valid(*attribute, parsed))
        return fail(Code::invalid, "set " + std::string(name), std::string(name),
                    fmt::format("{:?} is not {}", text.substr(0, 64), attribute->info.expected));
    attribute->copy(attributes, parsed);
    return {};
}

std::optional<std::uint64_t> value_number(const VfAttributes& attributes, std::string_view name) {
    const auto* const attribute = find_attribute(name);
    if (attribute == nullptr || !attribute->is_set(attributes)) return std::nullopt;
    return attribute->number(attributes);
}

bool asks_for_more(const VfAttributes& attributes, std::string_view name) {
    const auto* const attribute = find_attribute(name);
    return attribute != nullptr && attribute->is_set(attributes) &&
           !attribute->is_default(attributes);
}

std::optional<std::string> value_text(const VfAttributes& attributes, std::string_view name) {
    const auto* const attribute = find_attribute(name);
    if (attribute == nullptr || !attribute->is_set(attributes)) return std::nullopt;
    return attribute->format(attributes);
}

}  // namespace vfb::nic
