// SPDX-License-Identifier: GPL-2.0-or-later
#include "attributes.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>

#include <algorithm>
#include <charconv>
#include <climits>

#include "nested.hpp"

namespace vfb::nic {
namespace {

// ---- netlink: structures of uapi/linux/if_link.h

void encode_mac(Messages& message, std::uint32_t vf, const VfAttributes& all) {
    ifla_vf_mac value{.vf = vf, .mac = {}};
    std::ranges::copy(all.mac.value_or(MacAddress{}).bytes, value.mac);
    message.put(IFLA_VF_MAC, value);
}

bool has_vlan(const VfAttributes& all) {
    return all.vlan.value_or(0) != 0 || all.qos.value_or(0) != 0;
}

// IFLA_VF_VLAN knows no protocol: the list, of which the kernel takes one element, is the newer.
void encode_vlan(Messages& message, std::uint32_t vf, const VfAttributes& all) {
    // Without a VLAN the protocol is 802.1Q: drivers that know no other (igb) would else refuse to
    // clear one.
    const bool ad = has_vlan(all) && all.vlan_protocol == VlanProtocol::dot1ad;
    const ifla_vf_vlan_info value{
        .vf = vf,
        .vlan = all.vlan.value_or(0),
        .qos = all.qos.value_or(0),
        .vlan_proto = htons(ad ? ETH_P_8021AD : ETH_P_8021Q),
    };
    const auto list = message.open(IFLA_VF_VLAN_LIST);
    message.put(IFLA_VF_VLAN_INFO, value);
    message.close(list);
}

void encode_rate(Messages& message, std::uint32_t vf, const VfAttributes& all) {
    message.put(IFLA_VF_RATE, ifla_vf_rate{.vf = vf,
                                           .min_tx_rate = all.min_tx_rate.value_or(0),
                                           .max_tx_rate = all.max_tx_rate.value_or(0)});
}

void encode_spoof_check(Messages& message, std::uint32_t vf, const VfAttributes& all) {
    message.put(IFLA_VF_SPOOFCHK,
                ifla_vf_spoofchk{.vf = vf, .setting = all.spoof_check.value_or(true) ? 1U : 0U});
}

void encode_rss_query(Messages& message, std::uint32_t vf, const VfAttributes& all) {
    message.put(IFLA_VF_RSS_QUERY_EN,
                ifla_vf_rss_query_en{.vf = vf, .setting = all.rss_query.value_or(false) ? 1U : 0U});
}

void put_guid(Messages& message, int type, std::uint32_t vf, const std::optional<Guid>& guid) {
    ifla_vf_guid value{};
    value.vf = vf;
    value.guid = guid.value_or(Guid{}).value;
    message.put(type, value);
}

void encode_node_guid(Messages& message, std::uint32_t vf, const VfAttributes& all) {
    put_guid(message, IFLA_VF_IB_NODE_GUID, vf, all.node_guid);
}

void encode_port_guid(Messages& message, std::uint32_t vf, const VfAttributes& all) {
    put_guid(message, IFLA_VF_IB_PORT_GUID, vf, all.port_guid);
}

void encode_trust(Messages& message, std::uint32_t vf, const VfAttributes& all) {
    message.put(IFLA_VF_TRUST,
                ifla_vf_trust{.vf = vf, .setting = all.trust.value_or(false) ? 1U : 0U});
}

std::uint32_t link_state_number(LinkState state) {
    switch (state) {
        case LinkState::enable:
            return IFLA_VF_LINK_STATE_ENABLE;
        case LinkState::disable:
            return IFLA_VF_LINK_STATE_DISABLE;
        case LinkState::automatic:
            break;
    }
    return IFLA_VF_LINK_STATE_AUTO;
}

void encode_link_state(Messages& message, std::uint32_t vf, const VfAttributes& all) {
    const auto state = all.link_state.value_or(LinkState::automatic);
    message.put(IFLA_VF_LINK_STATE,
                ifla_vf_link_state{.vf = vf, .link_state = link_state_number(state)});
}

void read_mac(const nlattr* data, VfAttributes& to) {
    if (const auto value = payload<ifla_vf_mac>(data)) {
        MacAddress mac;
        std::copy_n(value->mac, mac.bytes.size(), mac.bytes.begin());
        to.mac = mac;
    }
}

// IFLA_VF_VLAN_INFO within the list; the three rows read their own member of it.
std::optional<ifla_vf_vlan_info> vlan_info(const nlattr* list) {
    const auto* const info = find_nested(list, IFLA_VF_VLAN_INFO);
    return info == nullptr ? std::nullopt : payload<ifla_vf_vlan_info>(info);
}

void read_vlan(const nlattr* list, VfAttributes& to) {
    if (const auto info = vlan_info(list)) to.vlan = static_cast<std::uint16_t>(info->vlan);
}

void read_qos(const nlattr* list, VfAttributes& to) {
    if (const auto info = vlan_info(list)) to.qos = static_cast<std::uint8_t>(info->qos);
}

void read_vlan_protocol(const nlattr* list, VfAttributes& to) {
    const auto info = vlan_info(list);
    if (!info) return;
    const auto protocol = ntohs(info->vlan_proto);
    if (protocol == ETH_P_8021AD) to.vlan_protocol = VlanProtocol::dot1ad;
    // 0: netdevsim, when none was ever set.
    if (protocol == ETH_P_8021Q || protocol == 0) to.vlan_protocol = VlanProtocol::dot1q;
}

void read_min_rate(const nlattr* data, VfAttributes& to) {
    if (const auto value = payload<ifla_vf_rate>(data)) to.min_tx_rate = value->min_tx_rate;
}

void read_max_rate(const nlattr* data, VfAttributes& to) {
    if (const auto value = payload<ifla_vf_rate>(data)) to.max_tx_rate = value->max_tx_rate;
}

// The kernel presets spoof check, trust and RSS query to -1, for drivers that do not report them.
std::optional<bool> reported(std::uint32_t setting) {
    if (setting > 1) return std::nullopt;
    return setting == 1;
}

void read_spoof_check(const nlattr* data, VfAttributes& to) {
    if (const auto value = payload<ifla_vf_spoofchk>(data))
        to.spoof_check = reported(value->setting);
}

void read_trust(const nlattr* data, VfAttributes& to) {
    if (const auto value = payload<ifla_vf_trust>(data)) to.trust = reported(value->setting);
}

void read_rss_query(const nlattr* data, VfAttributes& to) {
    if (const auto value = payload<ifla_vf_rss_query_en>(data))
        to.rss_query = reported(value->setting);
}

void read_node_guid(const nlattr* data, VfAttributes& to) {
    if (const auto value = payload<ifla_vf_guid>(data)) to.node_guid = Guid{value->guid};
}

void read_port_guid(const nlattr* data, VfAttributes& to) {
    if (const auto value = payload<ifla_vf_guid>(data)) to.port_guid = Guid{value->guid};
}

void read_link_state(const nlattr* data, VfAttributes& to) {
    const auto value = payload<ifla_vf_link_state>(data);
    if (!value) return;
    for (const auto state : {LinkState::automatic, LinkState::enable, LinkState::disable})
        if (link_state_number(state) == value->link_state) to.link_state = state;
}

// ---- values: what can be meant, and texts

bool valid_mac(const VfAttributes& a) {
    return !a.mac || !a.mac->is_multicast();
}
bool valid_vlan(const VfAttributes& a) {
    return a.vlan.value_or(0) <= 4094;
}
bool valid_qos(const VfAttributes& a) {
    return a.qos.value_or(0) <= 7;
}
// Drivers get the rate as an int.
bool valid_max_rate(const VfAttributes& a) {
    return a.max_tx_rate.value_or(0) <= INT_MAX;
}
bool valid_min_rate(const VfAttributes& a) {
    const auto bound = a.max_tx_rate.value_or(0) == 0 ? INT_MAX : *a.max_tx_rate;
    return a.min_tx_rate.value_or(0) <= bound;
}

template <class T>
    requires std::is_unsigned_v<T>
std::optional<T> from_text(std::string_view text, T*) {
    T value{};
    const auto* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stop != end) return std::nullopt;
    return value;
}

std::optional<bool> from_text(std::string_view text, bool*) {
    if (text == "true") return true;
    if (text == "false") return false;
    return std::nullopt;
}

std::optional<MacAddress> from_text(std::string_view text, MacAddress*) {
    auto mac = MacAddress::parse(text);
    if (!mac) return std::nullopt;
    return *mac;
}

std::optional<Guid> from_text(std::string_view text, Guid*) {
    auto guid = Guid::parse(text);
    if (!guid) return std::nullopt;
    return *guid;
}

std::optional<VlanProtocol> from_text(std::string_view text, VlanProtocol*) {
    return vlan_protocol_from_string(text);
}

std::optional<LinkState> from_text(std::string_view text, LinkState*) {
    return link_state_from_string(text);
}

std::string text_of(const MacAddress& mac) {
    return mac.str();
}
std::string text_of(const Guid& guid) {
    return guid.str();
}
std::string text_of(bool value) {
    return value ? "true" : "false";
}
std::string text_of(VlanProtocol protocol) {
    return std::string(to_string(protocol));
}
std::string text_of(LinkState state) {
    return std::string(to_string(state));
}
template <class T>
    requires(std::is_unsigned_v<T> && !std::is_same_v<T, bool>)
std::string text_of(T value) {
    return std::to_string(value);
}

std::uint64_t number_of(const MacAddress& mac) {
    std::uint64_t number = 0;
    for (const auto byte : mac.bytes) number = number << 8 | byte;
    return number;
}
std::uint64_t number_of(const Guid& guid) {
    return guid.value;
}
template <class T>
std::uint64_t number_of(T value) {
    return static_cast<std::uint64_t>(value);
}

template <class T>
constexpr unsigned kBits = 0;
template <>
constexpr unsigned kBits<MacAddress> = 48;
template <>
constexpr unsigned kBits<Guid> = 64;

// ---- the table

// What follows from the member alone.
template <auto Member, auto Default>
struct Of {
    using Value = std::remove_const_t<decltype(Default)>;

    static bool is_set(const VfAttributes& a) { return (a.*Member).has_value(); }
    static bool is_default(const VfAttributes& a) { return a.*Member == Default; }
    static bool equal(const VfAttributes& a, const VfAttributes& b) {
        return a.*Member == b.*Member;
    }
    static void copy(VfAttributes& to, const VfAttributes& from) { to.*Member = from.*Member; }
    static void set_default(VfAttributes& to) { to.*Member = Default; }
    static bool parse(std::string_view text, VfAttributes& to) {
        const auto value = from_text(text, static_cast<Value*>(nullptr));
        if (value) to.*Member = value;
        return value.has_value();
    }
    static std::string format(const VfAttributes& a) {
        return a.*Member ? text_of(*(a.*Member)) : std::string();
    }
    static std::uint64_t number(const VfAttributes& a) { return number_of(*(a.*Member)); }
};

template <auto Member, auto Default>
constexpr Attribute row(AttributeInfo info, Encoder encode, int type,
                        void (*read)(const nlattr*, VfAttributes&),
                        bool (*valid)(const VfAttributes&) = nullptr,
                        bool (*applies)(const VfAttributes&) = nullptr,
                        std::optional<std::uint64_t> bound_from = {}) {
    using Op = Of<Member, Default>;
    return {.info = info,
            .encode = encode,
            .type = type,
            .read = read,
            .valid = valid,
            .applies = applies,
            .is_set = Op::is_set,
            .is_default = Op::is_default,
            .equal = Op::equal,
            .copy = Op::copy,
            .set_default = Op::set_default,
            .parse = Op::parse,
            .format = Op::format,
            .number = Op::number,
            .bits = kBits<typename Op::Value>,
            .bound_from = bound_from};
}

using V = VfAttributes;
using enum AttributeKind;

constexpr std::array kTable{
    row<&V::mac, MacAddress{}>({"mac", text, "a unicast address like 52:54:00:12:34:56"},
                               encode_mac, IFLA_VF_MAC, read_mac, valid_mac),
    row<&V::vlan, std::uint16_t{0}>({"vlan", number, "a number from 0 to 4094 (0: no VLAN)"},
                                    encode_vlan, IFLA_VF_VLAN_LIST, read_vlan, valid_vlan),
    row<&V::qos, std::uint8_t{0}>({"qos", number, "a number from 0 to 7"}, encode_vlan,
                                  IFLA_VF_VLAN_LIST, read_qos, valid_qos),
    row<&V::vlan_protocol, VlanProtocol::dot1q>({"vlan_protocol", text, "802.1Q or 802.1ad"},
                                                encode_vlan, IFLA_VF_VLAN_LIST, read_vlan_protocol,
                                                nullptr, has_vlan),
    row<&V::spoof_check, true>({"spoof_check", flag, "true or false"}, encode_spoof_check,
                               IFLA_VF_SPOOFCHK, read_spoof_check),
    row<&V::trust, false>({"trust", flag, "true or false"}, encode_trust, IFLA_VF_TRUST,
                          read_trust),
    row<&V::min_tx_rate, std::uint32_t{0}>(
        {"min_tx_rate", number, "a number of Mbit/s, not above max_tx_rate (0: none)"}, encode_rate,
        IFLA_VF_RATE, read_min_rate, valid_min_rate, nullptr, 0),
    row<&V::max_tx_rate, std::uint32_t{0}>(
        {"max_tx_rate", number, "a number of Mbit/s (0: unlimited)"}, encode_rate, IFLA_VF_RATE,
        read_max_rate, valid_max_rate, nullptr, 1),
    row<&V::link_state, LinkState::automatic>({"link_state", text, "auto, enable or disable"},
                                              encode_link_state, IFLA_VF_LINK_STATE,
                                              read_link_state),
    row<&V::rss_query, false>({"rss_query", flag, "true or false"}, encode_rss_query,
                              IFLA_VF_RSS_QUERY_EN, read_rss_query),
    row<&V::node_guid, Guid{}>({"node_guid", text, "a GUID like 02:00:00:00:00:00:00:01"},
                               encode_node_guid, IFLA_VF_IB_NODE_GUID, read_node_guid),
    row<&V::port_guid, Guid{}>({"port_guid", text, "a GUID like 02:00:00:00:00:00:00:01"},
                               encode_port_guid, IFLA_VF_IB_PORT_GUID, read_port_guid),
};

}  // namespace

std::span<const Attribute> attribute_table() {
    return kTable;
}

bool is_valid(const Attribute& attribute, const VfAttributes& attributes) {
    return attribute.valid == nullptr || attribute.valid(attributes);
}

bool differs(const Attribute& attribute, const VfAttributes& wanted, const VfAttributes& actual) {
    return attribute.is_set(wanted) && !attribute.equal(wanted, actual) &&
           (attribute.applies == nullptr || attribute.applies(overlay(actual, wanted)));
}

std::optional<std::uint32_t> index_of_vf(const nlattr* info) {
    // Every structure starts with the index; the MAC is the one that every kernel sends, and first.
    const auto* const attribute = find_nested(info, IFLA_VF_MAC);
    const auto mac = attribute == nullptr ? std::nullopt : payload<ifla_vf_mac>(attribute);
    return mac ? std::optional(mac->vf) : std::nullopt;
}

VfAttributes read_vf_attributes(const nlattr* info) {
    std::array<const nlattr*, IFLA_VF_MAX + 1> found{};
    for_each_nested(info, [&](const nlattr* attribute) {
        if (type_of(attribute) <= IFLA_VF_MAX)
            found[static_cast<std::size_t>(type_of(attribute))] = attribute;
    });
    VfAttributes attributes;
    for (const auto& attribute : kTable)
        if (const auto* const attr = found[static_cast<std::size_t>(attribute.type)])
            attribute.read(attr, attributes);
    return attributes;
}

}  // namespace vfb::nic
