// SPDX-License-Identifier: GPL-2.0-or-later
//
// MacAddress and Guid: parsing, printing, and stable local ones.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "nic/vf_attributes.hpp"

namespace vfb::nic {
namespace {

std::optional<std::uint8_t> hex_digit(char c) {
    if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return static_cast<std::uint8_t>(c - 'A' + 10);
    return std::nullopt;
}

// `52:54:00:12:34:56`: N bytes, two digits each.
template <std::size_t N>
std::optional<std::array<std::uint8_t, N>> parse_bytes(std::string_view text) {
    if (text.size() != 3 * N - 1) return std::nullopt;
    std::array<std::uint8_t, N> bytes{};
    for (std::size_t i = 0; i < N; ++i) {
        const auto high = hex_digit(text[3 * i]);
        const auto low = hex_digit(text[3 * i + 1]);
        if (!high || !low || (i != N - 1 && text[3 * i + 2] != ':')) return std::nullopt;
        bytes[i] = static_cast<std::uint8_t>(*high << 4 | *low);
    }
    return bytes;
}

// Cut and escaped: the text may come from a tenant and ends in logs and terminals.
std::unexpected<Error> not_bytes(std::string_view text, const char* what, const char* like) {
    return fail(Code::invalid, fmt::format("read {}", what), {},
                fmt::format("{:?} is not {}", text.substr(0, 34), like));
}

constexpr std::uint64_t kStart = 0xcbf29ce484222325;

// 64-bit FNV-1a.
std::uint64_t hash(std::uint64_t state, std::string_view text) {
    for (const char c : text) {
        state ^= static_cast<unsigned char>(c);
        state *= 0x100000001b3;
    }
    return state;
}

// The finaliser of MurmurHash3: FNV-1a alone spreads the last bytes of its input badly.
std::uint64_t mix(std::uint64_t h) {
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccd;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53;
    return h ^ (h >> 33);
}

// What VFs of one PF have in common.
std::uint64_t identity(std::string_view machine, std::string_view pf) {
    // The NUL keeps ("a", "bc") and ("ab", "c") apart.
    auto state = hash(kStart, machine);
    state = hash(state, std::string_view("\0", 1));
    return mix(hash(state, pf));
}

MacAddress local_mac(std::uint64_t bits) {
    MacAddress mac;
    for (std::size_t i = mac.bytes.size(); i-- > 0; bits >>= 8)
        mac.bytes[i] = static_cast<std::uint8_t>(bits);
    mac.bytes[0] = static_cast<std::uint8_t>((mac.bytes[0] & 0xfc) | 0x02);  // local, unicast
    return mac;
}

}  // namespace

Result<MacAddress> MacAddress::parse(std::string_view text) {
    if (const auto bytes = parse_bytes<6>(text)) return MacAddress{*bytes};
    return not_bytes(text, "a MAC address", "six bytes like 52:54:00:12:34:56");
}

std::string MacAddress::str() const {
    return fmt::format("{:02x}", fmt::join(bytes, ":"));
}

bool MacAddress::is_zero() const {
    return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

Result<Guid> Guid::parse(std::string_view text) {
    const auto bytes = parse_bytes<8>(text);
    if (!bytes) return not_bytes(text, "a GUID", "eight bytes like 02:00:00:00:00:00:00:01");
    Guid guid;
    for (const auto byte : *bytes) guid.value = guid.value << 8 | byte;
    return guid;
}

std::string Guid::str() const {
    std::array<std::uint8_t, 8> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
    return fmt::format("{:02x}", fmt::join(bytes, ":"));
}

MacAddress stable_mac(std::string_view machine, std::string_view pf, unsigned index) {
    // The index is added after hashing, not hashed: so VFs of one PF cannot collide.
    return local_mac(identity(machine, pf) + index);
}

MacAddress next_stable_mac(const MacAddress& mac) {
    return local_mac(mix(hash(kStart, mac.str())));
}

Guid stable_guid(std::string_view machine, std::string_view pf, unsigned index,
                 std::string_view use) {
    constexpr std::uint64_t kLocal = std::uint64_t{2} << 56;
    constexpr std::uint64_t kGroup = std::uint64_t{1} << 56;
    const auto number = mix(hash(identity(machine, pf), use)) + index;
    return {.value = (number | kLocal) & ~kGroup};
}

}  // namespace vfb::nic
