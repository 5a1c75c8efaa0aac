// SPDX-License-Identifier: GPL-2.0-or-later
#include "attributes.hpp"

#include <charconv>

namespace vfb::pci {
namespace {

// From linux/ioport.h, which is not part of the kernel's UAPI; sysfs prints them all the same.
constexpr std::uint64_t kIo = 0x100;
constexpr std::uint64_t kMemory = 0x200;
constexpr std::uint64_t kPrefetch = 0x2000;
constexpr std::uint64_t kMemory64 = 0x100000;

constexpr unsigned kRom = 6;
constexpr unsigned kFirstVfBar = 7;
constexpr unsigned kFirstWindow = 13;

// Takes `prefix` and a hexadecimal number of at most `digits` digits off the front of `text`.
template <class T>
bool take_hex(std::string_view& text, std::string_view prefix, std::size_t digits, T& value) {
    if (!text.starts_with(prefix)) return false;
    text.remove_prefix(prefix.size());
    const auto* begin = text.data();
    const auto* end = begin + std::min(digits, text.size());
    const auto [ptr, ec] = std::from_chars(begin, end, value, 16);
    if (ec != std::errc{}) return false;
    text.remove_prefix(static_cast<std::size_t>(ptr - begin));
    return true;
}

Bar make_bar(unsigned index, std::uint64_t start, std::uint64_t end, std::uint64_t flags) {
    return Bar{.address = start,
               .size = end - start + 1,
               .index = static_cast<std::uint8_t>(index),
               .io = (flags & kIo) != 0,
               .prefetchable = (flags & kPrefetch) != 0,
               .is_64bit = (flags & kMemory64) != 0};
}

}  // namespace

std::optional<Identity> parse_modalias(std::string_view text) {
    Identity id;
    // The kernel prints ids of 16 bits with eight digits.
    std::uint32_t vendor = 0, device = 0, subvendor = 0, subdevice = 0;
    std::uint32_t base = 0, sub = 0, interface = 0;
    if (!take_hex(text, "pci:v", 8, vendor) || !take_hex(text, "d", 8, device) ||
        !take_hex(text, "sv", 8, subvendor) || !take_hex(text, "sd", 8, subdevice) ||
        !take_hex(text, "bc", 2, base) || !take_hex(text, "sc", 2, sub) ||
        !take_hex(text, "i", 2, interface) || !text.empty())
        return std::nullopt;
    if (((vendor | device | subvendor | subdevice) >> 16) != 0) return std::nullopt;
    id.vendor = static_cast<std::uint16_t>(vendor);
    id.device = static_cast<std::uint16_t>(device);
    id.subsystem_vendor = static_cast<std::uint16_t>(subvendor);
    id.subsystem_device = static_cast<std::uint16_t>(subdevice);
    id.class_code = base << 16 | sub << 8 | interface;
    return id;
}

std::optional<Resources> parse_resource(std::string_view text) {
    Resources resources;
    for (unsigned line = 0; !text.empty() && line < kFirstWindow; ++line) {
        std::uint64_t start = 0, end = 0, flags = 0;
        if (!take_hex(text, "0x", 16, start) || !take_hex(text, " 0x", 16, end) ||
            !take_hex(text, " 0x", 16, flags) || (!text.empty() && text.front() != '\n'))
            return std::nullopt;
        if (!text.empty()) text.remove_prefix(1);
        if ((flags & (kIo | kMemory)) == 0 || end <= start) continue;
        if (line <= kRom)
            resources.bars.push_back(make_bar(line, start, end, flags));
        else
            resources.vf_bars.push_back(make_bar(line - kFirstVfBar, start, end, flags));
    }
    return resources;
}

std::vector<std::string> split_words(std::string_view text) {
    std::vector<std::string> words;
    for (;;) {
        const auto start = text.find_first_not_of(' ');
        if (start == std::string_view::npos) return words;
        const auto end = std::min(text.find(' ', start), text.size());
        words.emplace_back(text.substr(start, end - start));
        text.remove_prefix(end);
    }
}

}  // namespace vfb::pci
