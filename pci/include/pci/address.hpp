// SPDX-License-Identifier: GPL-2.0-or-later
//
// Address: where a PCI function is, `domain:bus:device.function`, as sysfs names it.
// Parsed once at the edge; ordered, hashable, formattable. Follows Documentation/PCI/sysfs-pci.rst.
#pragma once

#include <fmt/format.h>

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace vfb::pci {

struct Address {
    std::uint32_t domain = 0;  // VMD and Hyper-V use more than 16 bits
    std::uint8_t bus = 0;
    std::uint8_t device = 0;    // 0..31
    std::uint8_t function = 0;  // 0..7

    // `0000:01:10.0`, or `01:10.0` in domain 0. Nothing else: no spaces, no sign, no wildcard.
    static Result<Address> parse(std::string_view text);
    [[nodiscard]] std::string str() const;

    auto operator<=>(const Address&) const = default;
};

}  // namespace vfb::pci

template <>
struct std::hash<vfb::pci::Address> {
    std::size_t operator()(const vfb::pci::Address& a) const noexcept {
        return (static_cast<std::size_t>(a.domain) << 16) ^ (static_cast<std::size_t>(a.bus) << 8) ^
               (static_cast<std::size_t>(a.device) << 3) ^ a.function;
    }
};

template <>
struct fmt::formatter<vfb::pci::Address> : fmt::formatter<std::string_view> {
    auto format(const vfb::pci::Address& a, format_context& context) const {
        return fmt::formatter<std::string_view>::format(a.str(), context);
    }
};
