// SPDX-License-Identifier: GPL-2.0-or-later
#include "formats.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace vfb::cli {
namespace {

// QEMU ends a value at a comma, unless it is doubled.
std::string escape_commas(std::string_view text) {
    std::string out;
    for (const char byte : text) {
        out += byte;
        if (byte == ',') out += ',';
    }
    return out;
}

std::vector<std::string> qemu_words(const std::vector<client::Lease>& leases,
                                    const std::string& options) {
    std::vector<std::string> words;
    std::size_t context = 0;
    std::size_t device = 0;
    for (const auto& lease : leases) {
        const bool descriptors = lease.backend == "iommufd" && lease.context;
        const std::string iommufd = fmt::format("vfbroker{}", context);
        if (descriptors) {
            words.emplace_back("-object");
            words.push_back(fmt::format("iommufd,id={},fd={}", iommufd, lease.context.get()));
            ++context;
        }
        for (const auto& function : lease.functions) {
            const std::string how =
                descriptors ? fmt::format("iommufd={},fd={}", iommufd, function.descriptor.get())
                            : "host=" + function.address;
            words.emplace_back("-device");
            words.push_back(fmt::format("vfio-pci,id=vf{},{}{}", device, how, options));
            ++device;
        }
    }
    return words;
}

std::vector<std::string> dpdk_words(const std::vector<client::Lease>& leases,
                                    const std::string& options) {
    std::vector<std::string> words;
    for (const auto& lease : leases) {
        for (const auto& function : lease.functions) {
            words.emplace_back("-a");
            words.push_back(function.address + options);
        }
    }
    return words;
}

bool needs_no_quotes(std::string_view word) {
    constexpr std::string_view kPlain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_";
    return !word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos;
}

}  // namespace

Format format_for(std::string_view program) {
    const auto slash = program.rfind('/');
    if (slash != std::string_view::npos) program.remove_prefix(slash + 1);
    return program.starts_with("dpdk-") ? Format::dpdk : Format::qemu;
}

std::vector<std::string> device_words(Format format, const std::vector<client::Lease>& leases,
                                      const std::vector<std::string>& options) {
    std::string joined;
    for (const auto& option : options)
        joined += "," + (format == Format::qemu ? escape_commas(option) : option);
    return format == Format::qemu ? qemu_words(leases, joined) : dpdk_words(leases, joined);
}

std::string libvirt_hostdevs(const std::vector<client::Lease>& leases) {
    std::string xml;
    for (const auto& lease : leases) {
        for (const auto& function : lease.functions) {
            // 0000:01:10.0: the daemon writes them no other way.
            const std::string_view address = function.address;
            const auto colon = address.find(':');
            xml += fmt::format(
                "<hostdev mode='subsystem' type='pci' managed='no'>\n"
                "  <source>\n"
                "    <address domain='0x{}' bus='0x{}' slot='0x{}' function='0x{}'/>\n"
                "  </source>\n"
                "</hostdev>\n",
                address.substr(0, colon), address.substr(colon + 1, 2),
                address.substr(colon + 4, 2), address.substr(colon + 7));
        }
    }
    return xml;
}

std::string shell_line(const std::vector<std::string>& words) {
    std::string line;
    for (const auto& word : words) {
        if (!line.empty()) line += ' ';
        if (needs_no_quotes(word)) {
            line += word;
            continue;
        }
        line += '\'';
        for (const char byte : word) {
            if (byte == '\'')
                line += "'\\''";
            else
                line += byte;
        }
        line += '\'';
    }
    return line;
}

Result<std::vector<std::string>> fill_in(const std::vector<std::string>& command,
                                         const std::vector<std::string>& words) {
    if (const auto count = std::ranges::count(command, "{}"); count != 1)
        return fail(Code::invalid, "run the command", {},
                    count == 0 ? "no word of it is {}, where the devices go"
                               : "{} occurs more than once in it",
                    "vfbroker run POOL -- qemu-system-x86_64 … {} …");
    std::vector<std::string> filled;
    for (const auto& word : command) {
        if (word == "{}")
            filled.insert(filled.end(), words.begin(), words.end());
        else
            filled.push_back(word);
    }
    return filled;
}

Result<> check_device_option(std::string_view option) {
    constexpr std::array<std::string_view, 5> kOurs{"id", "host", "fd", "iommufd", "sysfsdev"};
    const auto key = option.substr(0, option.find('='));
    if (key.empty() || key.size() == option.size())
        return fail(Code::invalid, fmt::format("use --device-option {}", option), {},
                    "it is not KEY=VALUE");
    if (std::ranges::find(kOurs, key) != kOurs.end())
        return fail(Code::invalid, fmt::format("use --device-option {}", option), {},
                    fmt::format("vfbroker sets {} itself", key));
    return {};
}

}  // namespace vfb::cli
