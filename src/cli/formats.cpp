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
                                    const std::string& options,
                                    const std::optional<std::string>& given) {
    std::vector<std::string> words;
    std::string iommufd = given.value_or("");
    std::size_t device = 0;
    for (const auto& lease : leases) {
        if (lease.context && iommufd.empty()) {
            iommufd = "vfbroker0";
            words.emplace_back("-object");
            words.push_back(fmt::format("iommufd,id={},fd={}", iommufd, lease.context.get()));
        }
        for (const auto& function : lease.functions) {
            const std::string how = function.descriptor ? fmt::format("iommufd={},fd={}", iommufd,
                                                                      function.descriptor.get())
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

// Its own --device takes all of them. The version that takes descriptors takes paths, too.
std::vector<std::string> cloud_hypervisor_words(const std::vector<client::Lease>& leases,
                                                const std::string& options) {
    std::vector<std::string> words{"--device"};
    for (const auto& lease : leases)
        for (const auto& function : lease.functions)
            words.push_back(fmt::format("path=/sys/bus/pci/devices/{}/,id=vf{}{}", function.address,
                                        words.size() - 1, options));
    return words;
}

std::vector<std::string> crosvm_words(const std::vector<client::Lease>& leases,
                                      const std::string& options) {
    std::vector<std::string> words;
    for (const auto& lease : leases) {
        for (const auto& function : lease.functions) {
            words.emplace_back("--vfio");
            words.push_back(
                fmt::format("{}sys/bus/pci/devices/{}{}", '/', function.address, options));
        }
    }
    return words;
}

// It does not choose a place on the bus by itself: from slot 16, above what is usually there.
std::vector<std::string> stratovirt_words(const std::vector<client::Lease>& leases,
                                          const std::string& options) {
    std::vector<std::string> words;
    unsigned device = 0;
    for (const auto& lease : leases) {
        for (const auto& function : lease.functions) {
            words.emplace_back("-device");
            words.push_back(fmt::format("vfio-pci,id=vf{},host={},bus=pcie.0,addr={:#x}{}", device,
                                        function.address, 16 + device, options));
            ++device;
        }
    }
    return words;
}

// Functions of one group share its node.
std::vector<std::string> kata_words(const std::vector<client::Lease>& leases) {
    std::vector<std::string> words;
    for (const auto& lease : leases) {
        for (const auto& function : lease.functions) {
            if (std::ranges::find(words, function.node) != words.end()) continue;
            words.emplace_back("--device");
            words.push_back(function.node);
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

std::optional<Format> format_from_string(std::string_view name) {
    constexpr std::array<std::pair<std::string_view, Format>, 6> kFormats{
        {{"qemu", Format::qemu},
         {"dpdk", Format::dpdk},
         {"cloud-hypervisor", Format::cloud_hypervisor},
         {"crosvm", Format::crosvm},
         {"stratovirt", Format::stratovirt},
         {"kata", Format::kata}}};
    for (const auto& [known, format] : kFormats)
        if (known == name) return format;
    return std::nullopt;
}

std::vector<std::string> device_words(Format format, const std::vector<client::Lease>& leases,
                                      const std::vector<std::string>& options,
                                      const std::optional<std::string>& iommufd) {
    std::string joined;
    for (const auto& option : options)
        joined += "," + (format == Format::qemu ? escape_commas(option) : option);
    switch (format) {
        case Format::qemu:
            return qemu_words(leases, joined, iommufd);
        case Format::dpdk:
            return dpdk_words(leases, joined);
        case Format::cloud_hypervisor:
            return cloud_hypervisor_words(leases, joined);
        case Format::crosvm:
            return crosvm_words(leases, joined);
        case Format::stratovirt:
            return stratovirt_words(leases, joined);
        case Format::kata:
            return kata_words(leases);
    }
    return {};
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
