// SPDX-License-Identifier: GPL-2.0-or-later
//
// MacAddress: parsing, printing, and stable local addresses.
#include <fmt/format.h>

#include <algorithm>

#include "nic/vf_attributes.hpp"

namespace vfb::nic {
namespace {

constexpr std::size_t kTextLength = 17;  // 52:54:00:12:34:56

std::optional<std::uint8_t> hex_digit(char c) {
    if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return static_cast<std::uint8_t>(c - 'A' + 10);
    return std::nullopt;
}

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

}  // namespace

Result<MacAddress> MacAddress::parse(std::string_view text) {
    MacAddress mac;
    bool good = text.size() == kTextLength;
    for (std::size_t i = 0; good && i < mac.bytes.size(); ++i) {
        const auto high = hex_digit(text[3 * i]);
        const auto low = hex_digit(text[3 * i + 1]);
        good = high && low && (i == mac.bytes.size() - 1 || text[3 * i + 2] == ':');
        if (good) mac.bytes[i] = static_cast<std::uint8_t>(*high << 4 | *low);
    }
    if (!good)
        // Cut and escaped: the text may come from a tenant and ends in logs and terminals.
        return fail(Code::invalid, "read a MAC address", {},
                    fmt::format("{:?} is not six bytes like 52:54:00:12:34:56",
                                text.substr(0, 2 * kTextLength)));
    return mac;
}

std::string MacAddress::str() const {
    return fmt::format("{:02x}", fmt::join(bytes, ":"));
}

bool MacAddress::is_zero() const {
    return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

MacAddress stable_mac(std::string_view machine, std::string_view pf, unsigned index) {
    // The NUL keeps ("a", "bc") and ("ab", "c") apart.
    auto state = hash(0xcbf29ce484222325, machine);
    state = hash(state, std::string_view("\0", 1));
    state = hash(state, pf);
    // The index is added after hashing, not hashed: so VFs of one PF cannot collide.
    std::uint64_t bits = mix(state) + index;
    MacAddress mac;
    for (std::size_t i = mac.bytes.size(); i-- > 0; bits >>= 8)
        mac.bytes[i] = static_cast<std::uint8_t>(bits);
    mac.bytes[0] = static_cast<std::uint8_t>((mac.bytes[0] & 0xfc) | 0x02);  // local, unicast
    return mac;
}

}  // namespace vfb::nic
