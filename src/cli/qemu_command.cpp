// SPDX-License-Identifier: GPL-2.0-or-later
#include "qemu_command.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <string_view>

#include "proto/json.hpp"

namespace vfb::cli {
namespace {

// `a,b=c` as QEMU's options are written: the first word may lack its key. In JSON, too.
using Options = std::map<std::string, std::string>;

Options read_json(const std::string& word) {
    Options options;
    const auto json = proto::Json::parse(word, nullptr, false);
    if (!json.is_object()) return options;
    for (const auto& [key, value] : json.items())
        options[key] = value.is_string() ? value.get<std::string>() : value.dump();
    return options;
}

Options read_options(const std::string& word, const std::string& first_key) {
    if (word.starts_with('{')) return read_json(word);
    Options options;
    std::string part;
    const auto add = [&] {
        const auto equals = part.find('=');
        if (equals != std::string::npos)
            options[part.substr(0, equals)] = part.substr(equals + 1);
        else
            options[options.empty() ? first_key : part] = options.empty() ? part : "on";
        part.clear();
    };
    for (std::size_t i = 0; i < word.size(); ++i) {
        const bool doubled = word[i] == ',' && i + 1 < word.size() && word[i + 1] == ',';
        if (word[i] == ',' && !doubled) {
            add();
            continue;
        }
        part += word[i];
        if (doubled) ++i;
    }
    add();
    return options;
}

// `4G`, `512`: of mebibytes where nothing is said.
std::optional<std::uint64_t> read_size(const std::string& text) {
    double number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || number <= 0) return std::nullopt;
    constexpr std::string_view kUnits = "bkmgtpe";
    const std::string_view unit(stop, static_cast<std::size_t>(end - stop));
    if (unit.size() > 1) return std::nullopt;
    const auto power =
        unit.empty() ? 2 : kUnits.find(static_cast<char>(unit.front() | 0x20));  // lower case
    if (power == std::string_view::npos) return std::nullopt;
    for (std::size_t i = 0; i < power; ++i) number *= 1024;
    if (number >= 9e18) return std::nullopt;
    return static_cast<std::uint64_t>(number);
}

bool is_guest_iommu(const std::string& driver) {
    constexpr std::array<std::string_view, 4> kDrivers{"intel-iommu", "amd-iommu", "virtio-iommu",
                                                       "virtio-iommu-pci"};
    return std::ranges::find(kDrivers, driver) != kDrivers.end();
}

void read_object(const Options& object, QemuCommand& command) {
    const auto type = object.find("qom-type");
    const auto id = object.find("id");
    if (command.iommufd || type == object.end() || type->second != "iommufd" || id == object.end())
        return;
    command.iommufd = id->second;
    const auto fd = object.find("fd");
    if (fd == object.end()) return;
    int number = 0;
    const char* const end = fd->second.data() + fd->second.size();
    if (std::from_chars(fd->second.data(), end, number).ptr == end) command.iommufd_fd = number;
}

Result<> read_machine(const Options& machine, QemuCommand& command) {
    const auto value = [&](const char* key) {
        const auto found = machine.find(key);
        return found == machine.end() ? "" : found->second;
    };
    command.guest_iommu |= !value("iommu").empty() && value("iommu") != "none";
    if (value("type") == "microvm" && value("pcie") != "on")
        return fail(Code::invalid, "run the command", {},
                    "a microvm has no PCI bus for the devices", "-M microvm,pcie=on");
    return {};
}

}  // namespace

Result<QemuCommand> read_qemu_command(const std::vector<std::string>& words) {
    QemuCommand command;
    for (std::size_t i = 0; i + 1 < words.size(); ++i) {
        // Both -m and --m are QEMU's.
        std::string_view option = words[i];
        if (!option.starts_with('-')) continue;
        option.remove_prefix(option.starts_with("--") ? 2 : 1);
        const std::string& value = words[i + 1];
        if (option == "object") {
            read_object(read_options(value, "qom-type"), command);
        } else if (option == "m") {
            const auto memory = read_options(value, "size");
            const bool grows = memory.contains("maxmem");
            if (grows || memory.contains("size"))
                command.memory = read_size(memory.at(grows ? "maxmem" : "size"));
        } else if (option == "device") {
            const auto device = read_options(value, "driver");
            const auto driver = device.find("driver");
            command.guest_iommu |= driver != device.end() && is_guest_iommu(driver->second);
        } else if (option == "machine" || option == "M") {
            VFB_CHECK(read_machine(read_options(value, "type"), command));
        }
    }
    return command;
}

}  // namespace vfb::cli
