// SPDX-License-Identifier: GPL-2.0-or-later
#include "tree/faults.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace vfb::tree {
namespace {

constexpr const char* kIdentity[] = {"vendor", "device", "subsystem_vendor", "subsystem_device",
                                     "class"};

Result<> remove_file(const std::string& path) {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) return fail_errno(error.value(), "remove " + path, path);
    return {};
}

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

Result<> break_identity(const std::string& folder, Fault fault) {
    if (fault == Fault::garbage_identity) {
        for (const char* name : kIdentity) VFB_CHECK(write_file(folder + name, "0xzzzz\n"));
        return write_file(folder + "modalias", "pci:v0000\n");
    }
    VFB_CHECK(remove_file(folder + "modalias"));
    if (fault == Fault::no_identity)
        for (const char* name : kIdentity) VFB_CHECK(remove_file(folder + name));
    return {};
}

Result<> break_config(const std::string& folder, Fault fault) {
    const auto path = folder + "config";
    auto config = read_file(path);
    if (config.size() < 64) return fail(Code::invalid, "break " + path, path, "it has no header");
    switch (fault) {
        case Fault::empty_config:
            return write_file(path, "");
        case Fault::short_config:
            return write_file(path, config.substr(0, 16));
        case Fault::dead_config:
            return write_file(path, std::string(config.size(), '\xff'));
        case Fault::header_config:
            return write_file(path, config.substr(0, 64));
        case Fault::looping_config:
            // The first capability says that the next one is itself.
            config.at(static_cast<unsigned char>(config.at(0x34)) + 1U) = config.at(0x34);
            return write_file(path, config);
        default:
            return remove_file(path);
    }
}

}  // namespace

const std::vector<std::pair<Fault, std::string_view>>& all_faults() {
    static const std::vector<std::pair<Fault, std::string_view>> faults = {
        {Fault::no_modalias, "no_modalias"},
        {Fault::no_identity, "no_identity"},
        {Fault::garbage_identity, "garbage_identity"},
        {Fault::empty_numa_node, "empty_numa_node"},
        {Fault::garbage_numa_node, "garbage_numa_node"},
        {Fault::garbage_resource, "garbage_resource"},
        {Fault::no_resource, "no_resource"},
        {Fault::empty_config, "empty_config"},
        {Fault::short_config, "short_config"},
        {Fault::dead_config, "dead_config"},
        {Fault::header_config, "header_config"},
        {Fault::looping_config, "looping_config"},
        {Fault::no_config, "no_config"},
        {Fault::garbage_group, "garbage_group"},
        {Fault::unreadable_driver, "unreadable_driver"},
        {Fault::no_reset_method, "no_reset_method"},
        {Fault::dangling_link, "dangling_link"},
    };
    return faults;
}

bool is_reported(Fault fault) {
    switch (fault) {
        case Fault::no_modalias:
        case Fault::no_resource:
        case Fault::header_config:
        case Fault::looping_config:
        case Fault::no_reset_method:
            return false;
        default:
            return true;
    }
}

Result<> break_function(const std::string& tree, const pci::Address& address, Fault fault) {
    const auto folder = fmt::format("{}/sys/bus/pci/devices/{}/", tree, address);
    switch (fault) {
        case Fault::no_modalias:
        case Fault::no_identity:
        case Fault::garbage_identity:
            return break_identity(folder, fault);
        case Fault::empty_numa_node:
            return write_file(folder + "numa_node", "");
        case Fault::garbage_numa_node:
            return write_file(folder + "numa_node", "node0\n");
        case Fault::garbage_resource:
            return write_file(folder + "resource", "0x00 0x11\nnothing\n");
        case Fault::no_resource:
            return remove_file(folder + "resource");
        case Fault::garbage_group:
            VFB_CHECK(remove_file(folder + "iommu_group"));
            std::filesystem::create_symlink("../none", folder + "iommu_group");
            return {};
        case Fault::unreadable_driver:
            VFB_CHECK(remove_file(folder + "driver"));
            return write_file(folder + "driver/nothing", "");
        case Fault::no_reset_method:
            return remove_file(folder + "reset_method");
        case Fault::dangling_link:
            return remove_file(std::filesystem::canonical(folder));
        default:
            return break_config(folder, fault);
    }
}

}  // namespace vfb::tree
