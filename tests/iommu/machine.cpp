// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace vfb::iommu::test {
namespace {

void put(std::string& bytes, std::size_t offset, std::uint32_t value) {
    for (int n = 0; n < 4; ++n) bytes[offset + n] = static_cast<char>(value >> 8 * n & 0xff);
}

// Extended capabilities: AER first, so that the list has to be followed, then ACS.
std::string make_config(const std::optional<Acs>& acs, std::size_t size) {
    std::string bytes(size, '\0');
    if (size < 4096) return bytes;
    put(bytes, 0x100, 0x0001 | 1 << 16 | (acs ? 0x148U << 20 : 0));
    if (!acs) return bytes;
    put(bytes, 0x148, 0x000d | 1 << 16);
    put(bytes, 0x14c, acs->capability | static_cast<std::uint32_t>(acs->control) << 16);
    return bytes;
}

}  // namespace

pci::Address at(const std::string& text) {
    return pci::Address::parse(text).value();
}

Machine::Machine() {
    std::string name = testing::TempDir() + "vfbroker-iommu-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    folder_ = name;
    for (const char* tree : {"sys", "dev", "proc"})
        std::filesystem::create_directory(folder_ / tree);
}

Machine::~Machine() {
    std::filesystem::remove_all(folder_);
}

void Machine::write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << text;
}

void Machine::link(const std::string& name, const std::string& target) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::filesystem::create_symlink(target, folder_ / name);
}

void Machine::remove(const std::string& name) const {
    std::filesystem::remove_all(folder_ / name);
}

pci::Function& Machine::add(const std::string& address, std::optional<std::uint8_t> pcie_type,
                            std::optional<Acs> acs, std::size_t size) {
    pci::Function& function = functions[at(address)];
    function.address = at(address);
    function.pcie_type = pcie_type;
    function.vendor = 0x8086;
    function.device = 0x10c9;
    function.class_code = 0x020000;
    write("sys/bus/pci/devices/" + address + "/config", make_config(acs, size));
    return function;
}

pci::Function& Machine::add_bridge(const std::string& address,
                                   std::optional<std::uint8_t> pcie_type, std::optional<Acs> acs) {
    pci::Function& function = add(address, pcie_type, acs);
    function.header_type = 1;
    function.class_code = 0x060400;
    function.driver = "pcieport";
    return function;
}

void Machine::group(std::uint32_t number, const std::vector<std::string>& members) {
    const std::string folder = fmt::format("sys/kernel/iommu_groups/{}/", number);
    write(folder + "type", "DMA-FQ\n");
    write(folder + "reserved_regions", "0x00000000fee00000 0x00000000feefffff msi\n");
    std::filesystem::create_directories(folder_ / folder / "devices");
    for (const std::string& member : members) {
        link(fmt::format("{}devices/{}", folder, member),
             fmt::format("../../../../devices/{}", member));
        if (const auto known = functions.find(at(member)); known != functions.end())
            known->second.group = number;
    }
}

void Machine::iommu(const std::string& chip) const {
    write("sys/class/iommu/dmar0/intel-iommu/ecap", "f4a\n");
    write("sys/kernel/irq/0/chip_name", chip + "\n");
}

SysRoot Machine::root() const {
    return SysRoot::at(folder_.string()).value();
}

Verdict Machine::judge(const std::string& address, const std::vector<std::string>& claimed) const {
    std::vector<pci::Address> addresses;
    addresses.reserve(claimed.size());
    for (const std::string& text : claimed) addresses.push_back(at(text));
    auto verdict = iommu::judge(root(), functions, at(address), addresses);
    EXPECT_TRUE(verdict.has_value()) << verdict.error().message();
    return verdict.value_or(Verdict{});
}

}  // namespace vfb::iommu::test
