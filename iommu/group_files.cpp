// SPDX-License-Identifier: GPL-2.0-or-later
//
// kernel/iommu_groups as it is.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <ranges>

#include "iommu/groups.hpp"

namespace vfb::iommu {
namespace {

constexpr std::string_view kFolder = "kernel/iommu_groups";

// Numbers of 64 bits without sign, which reserved regions use to the full.
template <class T>
std::optional<T> parse_unsigned(std::string_view text) {
    int base = 10;
    if (text.starts_with("0x")) {
        base = 16;
        text.remove_prefix(2);
    }
    T value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// `0x00000000fee00000 0x00000000feefffff msi`
std::optional<ReservedRegion> parse_region(std::string_view line) {
    std::vector<std::string_view> words;
    for (const auto word : line | std::views::split(' ')) words.emplace_back(word);
    if (words.size() != 3 || words[2].empty()) return std::nullopt;
    const auto start = parse_unsigned<std::uint64_t>(words[0]);
    const auto end = parse_unsigned<std::uint64_t>(words[1]);
    if (!start || !end || *end < *start) return std::nullopt;
    return ReservedRegion{.start = *start, .end = *end, .type = std::string(words[2])};
}

Result<std::vector<ReservedRegion>> read_regions(const Dir& sys, const std::string& name) {
    VFB_TRY(const auto text, sys.read_optional(name));
    std::vector<ReservedRegion> regions;
    for (const auto part : text.value_or("") | std::views::split('\n')) {
        const std::string_view line(part);
        if (line.empty()) continue;
        auto region = parse_region(line);
        if (!region)
            return fail(Code::invalid, "read " + sys.path(name), sys.path(name),
                        fmt::format("'{}' is not a reserved region", line));
        regions.push_back(std::move(*region));
    }
    return regions;
}

}  // namespace

Result<Group> read_group(const SysRoot& root, std::uint32_t number) {
    const std::string folder = fmt::format("{}/{}/", kFolder, number);
    auto names = root.sys().list(folder + "devices");
    if (!names) {
        if (names.error().errnum == ENOENT)
            return fail(Code::not_found, fmt::format("read group {}", number),
                        std::to_string(number), "there is no such IOMMU group");
        return std::unexpected(std::move(names).error());
    }
    Group group;
    group.number = number;
    for (const std::string& name : *names)
        // Devices of other buses can be members as well (platform devices on Arm).
        if (auto address = pci::Address::parse(name)) group.members.push_back(*address);
    group.type = root.sys().read(folder + "type").value_or("");
    VFB_TRY(group.reserved_regions, read_regions(root.sys(), folder + "reserved_regions"));
    group.noiommu = root.sys().read(folder + "name").value_or("") == "vfio-noiommu";
    return group;
}

Result<std::vector<Group>> read_groups(const SysRoot& root) {
    const std::string folder(kFolder);
    auto names = root.sys().list(folder);
    if (!names) {
        if (names.error().errnum == ENOENT) return {};
        return std::unexpected(std::move(names).error());
    }
    std::vector<Group> groups;
    for (const std::string& name : *names) {
        const auto number = parse_unsigned<std::uint32_t>(name);
        if (!number)
            return fail(Code::invalid, "read " + root.sys().path(folder), root.sys().path(folder),
                        "'" + name + "' is not a group number");
        auto group = read_group(root, *number);
        if (group)
            groups.push_back(std::move(*group));
        else if (group.error().code != Code::not_found && group.error().code != Code::lost)
            return std::unexpected(std::move(group).error());
    }
    std::ranges::sort(groups, {}, &Group::number);
    return groups;
}

}  // namespace vfb::iommu
