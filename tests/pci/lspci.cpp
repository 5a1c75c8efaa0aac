// SPDX-License-Identifier: GPL-2.0-or-later
#include "lspci.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <functional>
#include <memory>
#include <regex>

namespace vfb::pci::test {
namespace {

void for_each_line(const std::string& command,
                   const std::function<void(const std::string&)>& take) {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "re"), ::pclose);
    ASSERT_TRUE(pipe) << command;
    std::array<char, 4096> buffer;
    while (std::fgets(buffer.data(), buffer.size(), pipe.get()) != nullptr) {
        std::string line = buffer.data();
        if (line.ends_with('\n')) line.pop_back();
        take(line);
    }
}

std::uint64_t size_of(const std::string& number, const std::string& unit) {
    std::uint64_t size = std::stoull(number);
    for (const char step : std::string("KMGT")) {
        if (unit.empty()) return size;
        size *= 1024;
        if (unit[0] == step) return size;
    }
    return size;
}

// `Region 0: Memory at fe000000 (64-bit, prefetchable) [size=8M]`, `Region 2: I/O ports at 3000`,
// `Expansion ROM at fe100000 [disabled] [size=256K]`. A region that has no address is left out.
std::vector<Bar> bars_of(const std::vector<std::string>& lines, const std::string& indent) {
    static const std::regex region(
        R"((?:Region (\d): (Memory|I/O ports)|Expansion ROM) at ([0-9a-f]+)(?: \((\d+)-bit, (non-)?prefetchable\))?(?:.*\[size=(\d+)([KMGT]?)\])?.*)");
    std::vector<Bar> bars;
    for (const std::string& line : lines) {
        std::smatch match;
        if (!line.starts_with(indent)) continue;
        const auto text = line.substr(indent.size());
        if (!std::regex_match(text, match, region)) continue;
        Bar bar;
        bar.index = match[1].matched ? static_cast<std::uint8_t>(std::stoi(match[1])) : 6;
        bar.address = std::stoull(match[3], nullptr, 16);
        if (match[6].matched) bar.size = size_of(match[6], match[7]);
        bar.io = match[2] == "I/O ports";
        bar.is_64bit = match[4] == "64";
        bar.prefetchable = match[4].matched && !match[5].matched;
        bars.push_back(bar);
    }
    return bars;
}

std::optional<std::uint8_t> pcie_type_of(const std::vector<std::string>& lines) {
    // PCIe 7.5.3.2, as lspci words it.
    static const std::map<std::string, std::uint8_t> types = {
        {"Endpoint", 0},
        {"Legacy Endpoint", 1},
        {"Root Port", 4},
        {"Upstream Port", 5},
        {"Downstream Port", 6},
        {"PCI-Express to PCI/PCI-X Bridge", 7},
        {"PCI/PCI-X to PCI-Express Bridge", 8},
        {"Root Complex Integrated Endpoint", 9},
        {"Root Complex Event Collector", 10},
    };
    static const std::regex express(R"(\tCapabilities: \[..\] Express \(v\d\) ([^(,]*[^(, ]).*)");
    for (const std::string& line : lines) {
        std::smatch match;
        if (!std::regex_match(line, match, express)) continue;
        const auto type = types.find(match[1]);
        if (type == types.end()) ADD_FAILURE() << "unknown type in " << line;
        return type == types.end() ? 0xff : type->second;
    }
    return std::nullopt;
}

std::string field(const LspciRecord& record, const std::string& name) {
    const auto found = record.fields.find(name);
    return found == record.fields.end() ? "" : found->second;
}

std::string named(const std::string& name, const char* fallback, unsigned id) {
    return fmt::format("{} [{:04x}]", name.empty() ? fallback : name, id);
}

void expect_same_bars(const Function& function, const LspciRecord& record) {
    auto bars = function.bars;
    // lspci shows neither the kind of ROMs nor windows at address 0, which have none assigned.
    std::erase_if(bars, [](const Bar& bar) { return bar.address == 0; });
    for (Bar& bar : bars)
        if (bar.index == 6) bar.is_64bit = bar.prefetchable = false;
    EXPECT_EQ(bars, bars_of(record.lines, "\t"));
    if (!function.sriov) return;
    auto vf_bars = function.sriov->vf_bars;
    for (Bar& bar : vf_bars) bar.size = 0;  // not in lspci
    EXPECT_EQ(vf_bars, bars_of(record.lines, "\t\t"));
}

void expect_same_sriov(const SrIov& sriov, const LspciRecord& record) {
    std::string text;
    for (const std::string& line : record.lines) text += line + "\n";
    const auto expect = [&](const std::string& part) {
        EXPECT_NE(text.find(part), std::string::npos) << part << " is not in:\n" << text;
    };
    ASSERT_TRUE(sriov.initial && sriov.offset && sriov.stride && sriov.vf_device && sriov.ari);
    expect(fmt::format("Initial VFs: {}, ", *sriov.initial));
    expect(fmt::format("Number of VFs: {}, ", sriov.enabled));
    expect(fmt::format("VF offset: {}, stride: {}, Device ID: {:04x}\n", *sriov.offset,
                       *sriov.stride, *sriov.vf_device));
    expect(fmt::format("ARIHierarchy{}", *sriov.ari ? '+' : '-'));
    EXPECT_EQ(sriov.vfs.size(), sriov.enabled);
}

}  // namespace

std::map<Address, LspciRecord> run_lspci(const std::string& options) {
    std::map<Address, LspciRecord> records;
    LspciRecord* current = nullptr;
    for_each_line("lspci " + options + " -D -vmmnnk 2>/dev/null", [&](const std::string& line) {
        const auto tab = line.find(":\t");
        if (tab == std::string::npos) return;
        const auto name = line.substr(0, tab);
        const auto value = line.substr(tab + 2);
        if (name == "Slot")
            current = &records[Address::parse(value).value()];
        else if (current != nullptr)
            current->fields.emplace(name, value);
    });
    for_each_line("lspci " + options + " -D -vvv 2>/dev/null", [&](const std::string& line) {
        if (line.starts_with('\t')) return current->lines.push_back(line);
        if (const auto address = Address::parse(line.substr(0, line.find(' '))))
            current = &records[*address];
    });
    return records;
}

void expect_same(const Function& function, const LspciRecord& record) {
    SCOPED_TRACE(function.address.str());
    EXPECT_EQ(named(function.vendor_name.str(), "Vendor", function.vendor),
              field(record, "Vendor"));
    EXPECT_EQ(named(function.device_name.str(), "Device", function.device),
              field(record, "Device"));
    EXPECT_EQ(named(function.class_name.str(), "Class", function.class_code >> 8),
              field(record, "Class"));
    // Absent where both are zero.
    const auto subsystem = field(record, "SVendor");
    const bool has_subsystem = function.subsystem_vendor != 0 || function.subsystem_device != 0;
    if (has_subsystem && function.subsystem_vendor != 0xffff) {
        EXPECT_TRUE(subsystem.ends_with(fmt::format("[{:04x}]", function.subsystem_vendor)))
            << subsystem;
        EXPECT_TRUE(
            field(record, "SDevice").ends_with(fmt::format("[{:04x}]", function.subsystem_device)));
    } else {
        EXPECT_EQ(subsystem, "");
    }
    const auto hex = [&](const char* name, unsigned value) {
        const auto text = field(record, name);
        EXPECT_EQ(text.empty() ? 0U : std::stoul(text, nullptr, 16), value) << name;
    };
    hex("Rev", function.revision);
    hex("ProgIf", function.class_code & 0xff);
    EXPECT_EQ(field(record, "Driver"), function.driver.value_or(""));
    EXPECT_EQ(field(record, "PhySlot"), function.slot.str());
    EXPECT_EQ(field(record, "NUMANode"),
              function.numa_node ? std::to_string(*function.numa_node) : "");
    EXPECT_EQ(field(record, "IOMMUGroup"), function.group ? std::to_string(*function.group) : "");
    EXPECT_EQ(function.pcie_type, pcie_type_of(record.lines));
    expect_same_bars(function, record);
    if (function.sriov) expect_same_sriov(*function.sriov, record);
}

}  // namespace vfb::pci::test
