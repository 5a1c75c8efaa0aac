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
    bool operator==(const VfAttributes&) const = default;
    [[nodiscard]] bool empty() const { return *this == VfAttributes{}; }
};

// What a VF has when nothing else is configured: no VLAN, spoof check on, no trust, no rates, link
// automatic. MAC is not in it: it is of one VF.
VfAttributes safe_defaults();
// `over` where it is set, else `base`.
VfAttributes overlay(const VfAttributes& base, const VfAttributes& over);
// A locally administered unicast address that is always the same for (machine, PF, index) and
// differs between VFs. `machine` is any stable text (machine-id), `pf` the permanent MAC or slot.
MacAddress stable_mac(std::string_view machine, std::string_view pf, unsigned index);

// Names of attributes as they stand in CLI, JSON and configuration (`mac`, `vlan`, `qos`,
// `vlan_protocol`, `spoof_check`, `trust`, `min_tx_rate`, `max_tx_rate`, `link_state`) of those
// where `wanted` is set and `actual` is not equal. The protocol of no VLAN never differs.
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

struct WriteReport {
    VfAttributes actual;                   // read back after the write
    std::vector<std::string> unsupported;  // asked for, and the driver said EOPNOTSUPP
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
    // are put back to what they were, and the error says so if that fails. An attribute that the
    // driver does not report counts as written when the kernel acknowledged it. Code::timeout:
    // acknowledged, but the read-back never agreed; nothing is put back then.
    Result<WriteReport> write(int ifindex, unsigned index, const VfAttributes& wanted,
                              std::chrono::milliseconds timeout);
    // Sets or clears IFF_UP (does not wait for carrier). Returns whether it was up before.
    Result<bool> set_up(int ifindex, bool up);

private:
    struct Impl;
    explicit Session(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace vfb::nic
