// SPDX-License-Identifier: GPL-2.0-or-later
#include "pci/address.hpp"

#include <charconv>
#include <optional>

namespace vfb::pci {
namespace {

// from_chars takes neither a sign nor a prefix nor spaces for an unsigned hexadecimal number, so
// only the number of digits has to be checked besides.
std::optional<std::uint32_t> hex(std::string_view text) {
    std::uint32_t value = 0;
    const auto* end = text.data() + text.size();
    const auto [ptr, ec] = std::from_chars(text.data(), end, value, 16);
    if (ec != std::errc{} || ptr != end) return std::nullopt;
    return value;
}

// Four digits, more only when they are needed: one address has one spelling.
bool is_domain(std::string_view text) {
    return text.size() == 4 || (text.size() > 4 && text.size() <= 8 && text.front() != '0');
}

std::optional<Address> parse_address(std::string_view text) {
    Address address;
    constexpr std::size_t kShort = 7;  // bb:dd.f
    if (text.size() > kShort) {
        const auto domain_size = text.size() - kShort - 1;
        if (text[domain_size] != ':' || !is_domain(text.substr(0, domain_size)))
            return std::nullopt;
        const auto domain = hex(text.substr(0, domain_size));
        if (!domain) return std::nullopt;
        address.domain = *domain;
        text.remove_prefix(domain_size + 1);
    }
    if (text.size() != kShort || text[2] != ':' || text[5] != '.') return std::nullopt;
    const auto bus = hex(text.substr(0, 2));
    const auto device = hex(text.substr(3, 2));
    const auto function = hex(text.substr(6, 1));
    if (!bus || !device || *device > 31 || !function || *function > 7) return std::nullopt;
    address.bus = static_cast<std::uint8_t>(*bus);
    address.device = static_cast<std::uint8_t>(*device);
    address.function = static_cast<std::uint8_t>(*function);
    return address;
}

}  // namespace

Result<Address> Address::parse(std::string_view text) {
    if (const auto address = parse_address(text)) return *address;
    return fail(Code::invalid, fmt::format("take '{}' for a PCI address", text), std::string(text),
                "it is not of the form 0000:01:10.0", "lspci -D lists the addresses");
}

std::string Address::str() const {
    return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", domain, bus, device, function);
}

}  // namespace vfb::pci
