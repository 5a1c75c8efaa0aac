// SPDX-License-Identifier: GPL-2.0-or-later
//
// Attributes of VFs by rtnetlink on the PF's netdev (libnl-route; uapi/linux/if_link.h
// IFLA_VFINFO_LIST). Only the kernel's answer counts: every write is read back.
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace vfb::nic {

struct MacAddress {
    std::array<std::uint8_t, 6> bytes{};
    // `52:54:00:12:34:56`, upper or lower case; Code::invalid for anything else.
    static Result<MacAddress> parse(std::string_view text);
    [[nodiscard]] std::string str() const;  // lower case
    [[nodiscard]] bool is_zero() const;
    [[nodiscard]] bool is_multicast() const { return (bytes[0] & 1) != 0; }
    auto operator<=>(const MacAddress&) const = default;
};

// Of InfiniBand: an EUI-64, as a number in the order in which it is written.
struct Guid {
    std::uint64_t value = 0;
    // `02:00:00:00:00:00:00:01`, upper or lower case; Code::invalid for anything else.
    static Result<Guid> parse(std::string_view text);
    [[nodiscard]] std::string str() const;  // lower case
    auto operator<=>(const Guid&) const = default;
};

enum class VlanProtocol { dot1q, dot1ad };
enum class LinkState { automatic, enable, disable };
std::string_view to_string(VlanProtocol protocol);  // `802.1Q`, `802.1ad`
std::string_view to_string(LinkState state);        // `auto`, `enable`, `disable`
std::optional<VlanProtocol> vlan_protocol_from_string(std::string_view text);
std::optional<LinkState> link_state_from_string(std::string_view text);

// What is set, or what is to be set: an empty optional is "not asked for" when writing and "the
// driver does not report it" when read. A VLAN of 0 is "no VLAN", which is not the same as unset.
struct VfAttributes {
    std::optional<MacAddress> mac;
    std::optional<std::uint16_t> vlan;  // 0..4094
    std::optional<std::uint8_t> qos;    // 0..7
    std::optional<VlanProtocol> vlan_protocol;
    std::optional<bool> spoof_check;
    std::optional<bool> trust;
    std::optional<std::uint32_t> min_tx_rate;  // Mbit/s, 0: none
    std::optional<std::uint32_t> max_tx_rate;  // Mbit/s, 0: unlimited
    std::optional<LinkState> link_state;
    std::optional<bool> rss_query;  // the VF may ask for its RSS key and table
    std::optional<Guid> node_guid;  // of an InfiniBand VF
    std::optional<Guid> port_guid;
    bool operator==(const VfAttributes&) const = default;
    [[nodiscard]] bool empty() const { return *this == VfAttributes{}; }
};

// What a VF has when nothing else is configured: no VLAN, spoof check on, no trust, no rates, link
// automatic, no RSS query. MAC and GUIDs are not in it: they are of one VF.
VfAttributes safe_defaults();
// `over` where it is set, else `base`.
VfAttributes overlay(const VfAttributes& base, const VfAttributes& over);
// A locally administered unicast address that is always the same for (machine, PF, index) and
// differs between VFs. `machine` is any stable text (machine-id), `pf` the permanent MAC or slot.
MacAddress stable_mac(std::string_view machine, std::string_view pf, unsigned index);
// The one to try when `mac` is somebody else's: another stable, local one.
MacAddress next_stable_mac(const MacAddress& mac);
// The same for a GUID; `use` tells those of one VF apart (`node`, `port`).
Guid stable_guid(std::string_view machine, std::string_view pf, unsigned index,
                 std::string_view use);

// Names of attributes as they stand in CLI, JSON and configuration (`mac`, `vlan`, `qos`,
// `vlan_protocol`, `spoof_check`, `trust`, `min_tx_rate`, `max_tx_rate`, `link_state`, `rss_query`,
// `node_guid`, `port_guid`) of those where `wanted` is set and `actual` is not equal. The protocol
// of no VLAN never differs.
std::vector<std::string> differing(const VfAttributes& wanted, const VfAttributes& actual);
// Names of those that are set.
std::vector<std::string> names_of(const VfAttributes& attributes);
// Whether the values can be meant at all: a unicast MAC, a VLAN below 4095, a minimum rate not
// above the maximum, ... Code::invalid names the first that cannot. Drivers refuse more than this.
Result<> validate(const VfAttributes& attributes);

// One attribute as texts see it, in the order of VfAttributes.
enum class AttributeKind { text, number, flag };
struct AttributeInfo {
    std::string_view name;
    AttributeKind kind;
    std::string_view expected;  // completes "is not ...": `a number from 0 to 4094`
};
std::span<const AttributeInfo> attribute_infos();
// Sets the attribute `name` from text (numbers in decimal, flags as `true` or `false`).
// Code::not_found for an unknown name, Code::invalid for a value that is not one of its kind.
Result<> set_from_text(VfAttributes& attributes, std::string_view name, std::string_view text);
// The inverse; nullopt when unset or unknown.
std::optional<std::string> value_text(const VfAttributes& attributes, std::string_view name);

// Values of one attribute that stand together. All have an order: numbers their own, addresses that
// of their bytes, words and flags the one in which they are listed.
struct ValueRange {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::string text;  // as it is said
    bool operator==(const ValueRange&) const = default;
};
// `300`, `100-199`, `52:54:00:*`, `52:54:00:00:00:00/24`, `802.1Q`, `true`. A rate alone is the
// most of its range: `1000` of max_tx_rate are all but unlimited up to that. Code::invalid says why
// it is none, Code::not_found that there is no such attribute.
Result<ValueRange> range_from_text(std::string_view name, std::string_view text);
// Where the value stands in that order; nullopt when unset or unknown.
std::optional<std::uint64_t> value_number(const VfAttributes& attributes, std::string_view name);

// What one VF is to have.
struct VfRequest {
    unsigned index = 0;
    VfAttributes wanted;
};

struct WriteReport {
    VfAttributes actual;                   // read back after the write
    std::vector<std::string> unsupported;  // asked for, and the driver said EOPNOTSUPP
};

// Whether an attribute of that name is set, and to something else than what a driver starts with.
bool asks_for_more(const VfAttributes& attributes, std::string_view name);

// What a PF's netdev can be asked for.
struct LinkLimits {
    std::uint32_t least_mtu = 0;       // bytes
    std::uint32_t most_mtu = 0;        // 0: its driver names none
    std::vector<std::string> lacking;  // attributes of VFs that its driver does not have
    bool operator==(const LinkLimits&) const = default;
};

// One rtnetlink connection. One thread at a time (i40e fails concurrent changes on one PF anyway:
// one queue per PF). Blocks on the driver: belongs into a worker.
class Session {
public:
    static Result<Session> open();
    Session(Session&&) noexcept;
    Session& operator=(Session&&) noexcept;
    ~Session();

    // Attributes of VF `index` of the PF's netdev `ifindex`. Code::not_found when the PF has no
    // such VF, Code::busy when the driver does not answer for it now, Code::lost without netdev.
    Result<VfAttributes> read(int ifindex, unsigned index);
    // Of all VFs; fails rather than return a list whose length differs from IFLA_NUM_VF.
    Result<std::vector<VfAttributes>> read_all(int ifindex);
    // Writes what is set in `wanted` and differs, each acknowledged by the kernel, then polls the
    // read-back until it agrees or `timeout` passes (some drivers apply a MAC late). An attribute
    // at its default that the driver does not support is no failure; one that was asked to be
    // anything else is Code::unsupported and names it. When one is refused, those that were taken
    // are restored to what they were, and the error says so if that fails. An attribute that the
    // driver does not report counts as written when the kernel acknowledged it. Code::timeout:
    // acknowledged, but the read-back never agreed; nothing is restored then.
    Result<WriteReport> write(int ifindex, unsigned index, const VfAttributes& wanted,
                              std::chrono::milliseconds timeout);
    // The same for several VFs of one PF, each with attributes of its own: few sends for all, and
    // the read-back of all in one. What is refused for one VF is restored on that one and is no
    // matter to the others: an answer for each, in order. The Error instead of the list: the netdev
    // is gone, or the kernel's answers are unknown.
    Result<std::vector<Result<WriteReport>>> write_many(int ifindex,
                                                        std::span<const VfRequest> requests,
                                                        std::chrono::milliseconds timeout);
    // Sets or clears IFF_UP (does not wait for carrier). Returns whether it was up before.
    Result<bool> set_up(int ifindex, bool up);
    // Sets the MTU (bytes) and reads it back. Returns what it was before. A PF's bounds that of its
    // VFs, which their guests set.
    Result<std::uint32_t> set_mtu(int ifindex, std::uint32_t mtu);

    // Its bounds, and which of `attributes` (names of the table) its driver has no way to set.
    // Touches no VF: the driver is asked about one that it cannot have. Without CAP_NET_ADMIN, and
    // while the PF has no VFs, none is known to be lacking.
    Result<LinkLimits> limits(int ifindex, std::span<const std::string> attributes);

private:
    struct Impl;
    explicit Session(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace vfb::nic
