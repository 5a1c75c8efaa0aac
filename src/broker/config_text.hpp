// SPDX-License-Identifier: GPL-2.0-or-later
//
// Texts within configuration values: sizes, lists of indexes, names, and near misses. Pure.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vfb::broker {

// `4GiB`, `4G`, `512M`, `65536`, `unlimited` (kUnlimited); factors are powers of 1024, `GiB` and
// `G` are the same. nullopt for anything else and for more than 64 bits.
std::optional<std::uint64_t> parse_size(std::string_view text);

// `0-3,5` to 0 1 2 3 5, ascending; the unexpected value says what is wrong with it.
std::expected<std::vector<unsigned>, std::string> parse_indexes(std::string_view text);
// The inverse, as short as it can be.
std::string indexes_text(std::span<const unsigned> ascending);

// A name of the operator's choice: [a-z0-9][a-z0-9_-]*, at most 64.
bool is_name(std::string_view text);
// What may stand in a driver's or slot's name; both end in paths and writes to sysfs.
bool is_kernel_name(std::string_view text);
// A PCI id: four hexadecimal digits, with or without 0x.
std::optional<std::uint16_t> parse_pci_id(std::string_view text);

// `'text'` for messages: cut when long, control bytes replaced (the text may be anything).
std::string in_quotes(std::string_view text);

// The candidate that `text` was probably meant to be; empty when none is near.
std::string_view nearest(std::string_view text, std::span<const std::string_view> candidates);

}  // namespace vfb::broker
