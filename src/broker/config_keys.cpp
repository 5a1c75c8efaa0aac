// SPDX-License-Identifier: GPL-2.0-or-later
#include "config_keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "config_text.hpp"
#include "nic/vf_attributes.hpp"

namespace vfb::broker {
namespace {

using Synonym = std::pair<std::string_view, std::string_view>;

// What the kernel, ip(8), libvirt, Kubernetes' operators and people call it, and what it is here.
constexpr auto kSynonyms = std::to_array<Synonym>({
    {"num_vfs", "vfs"},
    {"numvfs", "vfs"},
    {"sriov_numvfs", "vfs"},
    {"nr_vfs", "vfs"},
    {"vf_count", "vfs"},
    {"vf", "vfs"},
    {"count", "vfs"},
    {"indexes", "vfs"},
    {"indices", "vfs"},
    {"pfs", "pf"},
    {"physical_function", "pf"},
    {"parent", "pf"},
    {"pools", "pool"},
    {"pci", "address"},
    {"pci_address", "address"},
    {"bdf", "address"},
    {"addr", "address"},
    {"mac_address", "mac"},
    {"hwaddr", "mac"},
    {"vendor_id", "vendor"},
    {"device_id", "device"},
    {"up", "link_up"},
    {"link", "link_up"},
    {"eswitch", "eswitch_mode"},
    {"switch_mode", "eswitch_mode"},
    {"users", "allow_users"},
    {"user", "allow_users"},
    {"groups", "allow_groups"},
    {"group", "allow_groups"},
    {"memlock", "memlock_max"},
    {"memory_lock", "memlock_max"},
    {"quota", "max_functions_per_user"},
    {"vectors", "msix_vectors"},
    {"msix", "msix_vectors"},
    {"limits", "tenant_limits"},
    {"vlan_id", "vlan"},
    {"vlanid", "vlan"},
    {"vid", "vlan"},
    {"vlan_qos", "qos"},
    {"priority", "qos"},
    {"vlan_proto", "vlan_protocol"},
    {"proto", "vlan_protocol"},
    {"spoofchk", "spoof_check"},
    {"spoof", "spoof_check"},
    {"trusted", "trust"},
    {"min_rate", "min_tx_rate"},
    {"max_rate", "max_tx_rate"},
    {"rate", "max_tx_rate"},
    {"state", "link_state"},
    {"query_rss", "rss_query"},
});

constexpr auto kPfKeys = std::to_array<std::string_view>(
    {"address", "slot", "mac", "vendor", "device", "vfs", "link_up", "mtu", "eswitch_mode"});
constexpr auto kPoolKeys = std::to_array<std::string_view>(
    {"pf", "backend", "allow_users", "allow_groups", "memlock_max", "tenant_may_set",
     "max_functions_per_user", "reset", "drift", "msix_vectors"});

template <class Range>
bool contains(const Range& range, std::string_view key) {
    return std::ranges::find(range, key) != std::ranges::end(range);
}

std::string normalized(std::string_view key) {
    std::string text(key);
    std::ranges::transform(text, text.begin(), [](char c) {
        if (c == '-') return '_';
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return text;
}

bool is_attribute(std::string_view key) {
    return std::ranges::any_of(nic::attribute_infos(),
                               [&](const auto& info) { return info.name == key; });
}

// The table in which that key stands; empty: none, or the one that was asked.
std::string home_of(std::string_view key, std::string_view title) {
    const bool in_pf = title.starts_with("[pf.");
    const bool in_pool = title.starts_with("[pool.");
    const bool below_pool = title.ends_with(".attributes]") || title.ends_with(".tenant_limits]");
    if (in_pool && !below_pool && is_attribute(key))
        return fmt::format("{}.attributes]", title.substr(0, title.size() - 1));
    if (below_pool && contains(kPoolKeys, key))
        return fmt::format("{}]", title.substr(0, title.rfind('.')));
    if (!in_pf && contains(kPfKeys, key)) return "[pf.NAME]";
    if (!in_pool && contains(kPoolKeys, key)) return "[pool.NAME]";
    if (!in_pool && is_attribute(key)) return "[pool.NAME.attributes]";
    return {};
}

}  // namespace

std::string key_hint(std::string_view key, std::string_view title,
                     std::span<const std::string_view> known) {
    const auto meant = [](std::string_view name) {
        return fmt::format("did you mean '{}'?", name);
    };
    const std::string plain = normalized(key);
    if (contains(known, plain)) return meant(plain);
    const auto* const synonym = std::ranges::find(kSynonyms, plain, &Synonym::first);
    const std::string_view name =
        synonym == kSynonyms.end() ? std::string_view(plain) : synonym->second;
    if (contains(known, name)) return meant(name);
    if (const auto home = home_of(name, title); !home.empty())
        return name == key ? fmt::format("it stands in a table {}", home)
                           : fmt::format("did you mean '{}' in a table {}?", name, home);
    const auto near = nearest(plain, known);
    return near.empty() ? std::string() : meant(near);
}

}  // namespace vfb::broker
