// SPDX-License-Identifier: GPL-2.0-or-later
//
// Ranges of an attribute's values, from text.
#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "attributes.hpp"

namespace vfb::nic {
namespace {

constexpr std::uint64_t kMulticast = std::uint64_t{1} << 40;  // in a MAC address as a number

std::unexpected<Error> no_range(const Attribute& attribute, std::string_view text,
                                const std::string& why) {
    const std::string name(attribute.info.name);
    return fail(Code::invalid, "read a range of " + name, name,
                fmt::format("{:?} {}", text.substr(0, 64), why));
}

std::optional<std::uint64_t> number_from(const Attribute& attribute, std::string_view text) {
    VfAttributes parsed;
    // By itself: a least rate is compared with the most elsewhere.
    if (!attribute.parse(text, parsed) || !is_valid(attribute, parsed)) return std::nullopt;
    return attribute.number(parsed);
}

Result<ValueRange> span(const Attribute& attribute, std::string_view text, std::size_t dash) {
    const auto first = number_from(attribute, text.substr(0, dash));
    const auto last = number_from(attribute, text.substr(dash + 1));
    if (!first || !last)
        return no_range(
            attribute, text,
            fmt::format("is no range: its ends are each to be {}", attribute.info.expected));
    if (*first > *last)
        return no_range(attribute, text, "is empty: its first value is above its last");
    return ValueRange{.first = *first, .last = *last, .text = std::string(text)};
}

// All addresses that begin as `base` does, of which `fixed` bits count.
Result<ValueRange> prefix(const Attribute& attribute, std::string_view text, std::uint64_t base,
                          unsigned fixed) {
    const auto free = attribute.bits - fixed;
    const std::uint64_t rest = free == 64 ? UINT64_MAX : (std::uint64_t{1} << free) - 1;
    if ((base & rest) != 0)
        return no_range(attribute, text,
                        fmt::format("has bits set beyond the {} that it fixes", fixed));
    if (attribute.bits == 48 && fixed >= 8 && (base & kMulticast) != 0)
        return no_range(attribute, text, "is empty: no unicast address begins so");
    return ValueRange{.first = base, .last = base | rest, .text = std::string(text)};
}

// `52:54:00:*`, filled with zeros to a whole address.
Result<ValueRange> with_star(const Attribute& attribute, std::string_view text) {
    const auto head = text.substr(0, text.size() - 1);
    const auto bytes = attribute.bits / 8;
    const auto given = head.size() / 3;
    std::string whole(head);
    for (auto i = given; i < bytes; ++i) whole += i + 1 < bytes ? "00:" : "00";
    VfAttributes parsed;
    if (head.size() % 3 != 0 || given == 0 || given >= bytes || !attribute.parse(whole, parsed))
        return no_range(attribute, text, "is no address whose last bytes are a star");
    return prefix(attribute, text, attribute.number(parsed), static_cast<unsigned>(8 * given));
}

Result<ValueRange> with_length(const Attribute& attribute, std::string_view text,
                               std::size_t slash) {
    const auto length = text.substr(slash + 1);
    unsigned fixed = 0;
    const auto [stop, error] = std::from_chars(length.data(), length.data() + length.size(), fixed);
    VfAttributes parsed;
    if (error != std::errc{} || stop != length.data() + length.size() || fixed > attribute.bits ||
        !attribute.parse(text.substr(0, slash), parsed))
        return no_range(attribute, text,
                        fmt::format("is no address with a length from 0 to {}", attribute.bits));
    return prefix(attribute, text, attribute.number(parsed), fixed);
}

}  // namespace

Result<ValueRange> range_from_text(std::string_view name, std::string_view text) {
    const auto* const attribute = find_attribute(name);
    if (attribute == nullptr)
        return fail(Code::not_found, fmt::format("read a range of {:?}", name.substr(0, 32)), {},
                    "there is no such attribute");
    if (attribute->bits != 0) {
        if (text.ends_with('*')) return with_star(*attribute, text);
        if (const auto slash = text.find('/'); slash != std::string_view::npos)
            return with_length(*attribute, text, slash);
    }
    if (attribute->info.kind == AttributeKind::number)
        if (const auto dash = text.find('-'); dash != std::string_view::npos && dash != 0)
            return span(*attribute, text, dash);
    const auto number = number_from(*attribute, text);
    if (!number)
        return no_range(*attribute, text, fmt::format("is not {}", attribute->info.expected));
    if (!attribute->bound_from)
        return ValueRange{.first = *number, .last = *number, .text = std::string(text)};
    if (*number < *attribute->bound_from)
        return no_range(*attribute, text, "is empty: without a bound, leave the range out");
    return ValueRange{.first = *attribute->bound_from,
                      .last = *number,
                      .text = fmt::format("{}-{}", *attribute->bound_from, *number)};
}

}  // namespace vfb::nic
