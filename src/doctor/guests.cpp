// SPDX-License-Identifier: GPL-2.0-or-later
#include "guests.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <ranges>

#include "doctor/doctor.hpp"

namespace vfb::doctor {
namespace {

constexpr std::array<std::string_view, 4> kPrograms{"qemu-system", "cloud-hyperviso", "crosvm",
                                                    "qemu-kvm"};

// `2G`, `2G,slots=4`, `size=2G,shared=on`.
std::optional<std::uint64_t> memory_of(std::string_view value, std::uint64_t plain) {
    bool first = true;
    for (const auto part : value | std::views::split(',')) {
        std::string_view word(part);
        constexpr std::string_view kSize = "size=";
        if (word.starts_with(kSize)) return parse_size(word.substr(kSize.size()), plain);
        if (first && !word.contains('=')) return parse_size(word, plain);
        first = false;
    }
    return std::nullopt;
}

}  // namespace

bool runs_guests(std::string_view name) {
    return std::ranges::any_of(kPrograms,
                               [&](std::string_view program) { return name.starts_with(program); });
}

std::optional<std::uint64_t> parse_size(std::string_view text, std::uint64_t plain) {
    std::uint64_t value = 0;
    const auto* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{}) return std::nullopt;
    if (rest == end) return value * plain;
    constexpr std::string_view kUnits = "KMGT";
    const char letter = *rest >= 'a' ? static_cast<char>(*rest - ('a' - 'A')) : *rest;
    const auto unit = kUnits.find(letter);
    if (unit == std::string_view::npos) return std::nullopt;
    for (std::size_t i = 0; i <= unit; ++i) value *= 1024;
    return value;
}

bool has_vfio_device(const std::vector<std::string>& arguments) {
    return std::ranges::any_of(arguments, [](const std::string& word) {
        return word.contains("vfio") || word.contains("bus/pci/devices");
    });
}

std::optional<std::uint64_t> guest_memory(const std::vector<std::string>& arguments) {
    if (arguments.empty()) return std::nullopt;
    constexpr std::uint64_t kMebi = 1 << 20;
    // Without a unit Cloud Hypervisor means bytes, the others mebibytes.
    const std::uint64_t plain = arguments.front().contains("cloud-hypervisor") ? 1 : kMebi;
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        std::string_view word = arguments[i];
        if ((word == "-m" || word == "--memory" || word == "--mem" || word == "-memory") &&
            i + 1 < arguments.size())
            return memory_of(arguments[i + 1], plain);
        for (const std::string_view option : {"--memory=", "--mem="})
            if (word.starts_with(option)) return memory_of(word.substr(option.size()), plain);
    }
    return std::nullopt;
}

std::optional<std::uint64_t> locked_memory_limit(const std::string& limits) {
    constexpr std::string_view kName = "Max locked memory";
    const auto at = limits.find(kName);
    if (at == std::string::npos) return std::nullopt;
    std::string_view rest = std::string_view(limits).substr(at + kName.size());
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    return parse_size(rest.substr(0, rest.find(' ')), 1);
}

}  // namespace vfb::doctor
