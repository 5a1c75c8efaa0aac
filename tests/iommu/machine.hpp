// SPDX-License-Identifier: GPL-2.0-or-later
//
// Machine: a small machine as a tree of files and an inventory of it, for the tests of this folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "iommu/groups.hpp"

namespace vfb::iommu::test {

// PCIe Device/Port Types.
inline constexpr std::uint8_t kEndpoint = 0;
inline constexpr std::uint8_t kRootPort = 4;
inline constexpr std::uint8_t kUpstream = 5;
inline constexpr std::uint8_t kDownstream = 6;
inline constexpr std::uint8_t kPcieToPci = 7;

// The two ACS registers of a function.
struct Acs {
    std::uint16_t capability = 0x5f;
    std::uint16_t control = 0x1d;  // what the kernel turns on: SV RR CR UF
};

class Machine {
public:
    Machine();
    ~Machine();
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    void write(const std::string& name, const std::string& text) const;
    void link(const std::string& name, const std::string& target) const;
    void remove(const std::string& name) const;

    // Puts a function into the inventory, with a `config` of `size` bytes; the reference may be
    // changed.
    pci::Function& add(const std::string& address, std::optional<std::uint8_t> pcie_type,
                       std::optional<Acs> acs = std::nullopt, std::size_t size = 4096);
    pci::Function& add_bridge(const std::string& address, std::optional<std::uint8_t> pcie_type,
                              std::optional<Acs> acs = std::nullopt);
    // An IOMMU group of functions, on both sides.
    void group(std::uint32_t number, const std::vector<std::string>& members);
    // An IOMMU with interrupt remapping.
    void iommu(const std::string& chip = "IR-IO-APIC") const;

    [[nodiscard]] SysRoot root() const;
    [[nodiscard]] Verdict judge(const std::string& address,
                                const std::vector<std::string>& claimed = {}) const;
    Functions functions;

private:
    std::filesystem::path folder_;
};

pci::Address at(const std::string& text);

}  // namespace vfb::iommu::test
