// SPDX-License-Identifier: GPL-2.0-or-later
//
// Configuration space as the PCIe specification lays it out, registers by linux/pci_regs.h.
#include <linux/pci_regs.h>

#include <algorithm>

#include "tree/tree.hpp"

namespace vfb::tree {
namespace {

class Bytes {
public:
    explicit Bytes(std::size_t size) : bytes_(size) {}

    void put(unsigned offset, std::uint64_t value, unsigned size) {
        for (unsigned i = 0; i < size; ++i)
            bytes_.at(offset + i) = static_cast<std::uint8_t>(value >> (8 * i));
    }
    void byte(unsigned offset, std::uint64_t value) { put(offset, value, 1); }
    void word(unsigned offset, std::uint64_t value) { put(offset, value, 2); }
    void longword(unsigned offset, std::uint64_t value) { put(offset, value, 4); }

    // Adds a capability of `size` bytes to the list and returns where it is.
    unsigned capability(std::uint8_t id, unsigned size) {
        const unsigned at = next_;
        byte(at, id);
        byte(last_ == 0 ? PCI_CAPABILITY_LIST : last_ + 1, at);
        word(PCI_STATUS, PCI_STATUS_CAP_LIST);
        last_ = at;
        next_ = (at + size + 3) & ~3U;
        return at;
    }
    unsigned extended(std::uint16_t id, unsigned version, unsigned size) {
        const unsigned at = next_extended_;
        longword(at, id | version << 16);
        if (last_extended_ != 0) byte(last_extended_ + 3, at >> 4), byte_or(last_extended_ + 2, at);
        last_extended_ = at;
        next_extended_ = (at + size + 15) & ~15U;
        return at;
    }

    std::vector<std::uint8_t> take() { return std::move(bytes_); }

private:
    // The low four bits of the next offset share a byte with the version.
    void byte_or(unsigned offset, unsigned next) {
        bytes_.at(offset) = static_cast<std::uint8_t>(bytes_.at(offset) | (next & 0xf) << 4);
    }

    std::vector<std::uint8_t> bytes_;
    unsigned next_ = 0x40;
    unsigned last_ = 0;
    unsigned next_extended_ = 0x100;
    unsigned last_extended_ = 0;
};

void put_bars(Bytes& bytes, unsigned first, const std::vector<pci::Bar>& bars) {
    for (const pci::Bar& bar : bars) {
        if (bar.index > 5) continue;
        std::uint64_t value = bar.address;
        if (bar.io) value |= PCI_BASE_ADDRESS_SPACE_IO;
        if (bar.prefetchable) value |= PCI_BASE_ADDRESS_MEM_PREFETCH;
        if (bar.is_64bit) value |= PCI_BASE_ADDRESS_MEM_TYPE_64;
        bytes.put(first + 4U * bar.index, value, bar.is_64bit ? 8 : 4);
    }
}

void put_header(Bytes& bytes, const FunctionSpec& spec) {
    const pci::Function& f = spec.function;
    // A VF's own registers hold no ids (PCIe 9.3.4.1).
    bytes.word(PCI_VENDOR_ID, f.is_vf() ? 0xffff : f.vendor);
    bytes.word(PCI_DEVICE_ID, f.is_vf() ? 0xffff : f.device);
    bytes.word(PCI_COMMAND, f.is_vf() ? PCI_COMMAND_MASTER : PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
    bytes.longword(PCI_CLASS_REVISION, f.class_code << 8 | f.revision);
    bytes.byte(PCI_HEADER_TYPE, f.header_type | (f.multifunction ? 0x80U : 0U));
    if (f.is_bridge()) {
        bytes.byte(PCI_PRIMARY_BUS, f.address.bus);
        bytes.byte(PCI_SECONDARY_BUS, spec.secondary);
        bytes.byte(PCI_SUBORDINATE_BUS, spec.subordinate);
        const unsigned at = bytes.capability(PCI_CAP_ID_SSVID, 8);
        bytes.word(at + PCI_SSVID_VENDOR_ID, f.subsystem_vendor);
        bytes.word(at + PCI_SSVID_DEVICE_ID, f.subsystem_device);
        return;
    }
    bytes.word(PCI_SUBSYSTEM_VENDOR_ID, f.subsystem_vendor);
    bytes.word(PCI_SUBSYSTEM_ID, f.subsystem_device);
    if (!f.is_vf()) put_bars(bytes, PCI_BASE_ADDRESS_0, f.bars);
    for (const pci::Bar& bar : f.bars)
        if (bar.index == 6) bytes.longword(PCI_ROM_ADDRESS, bar.address | PCI_ROM_ADDRESS_ENABLE);
}

void put_pcie(Bytes& bytes, const FunctionSpec& spec) {
    const pci::Function& f = spec.function;
    const unsigned type = *f.pcie_type;
    const bool port = type == PCI_EXP_TYPE_ROOT_PORT || type == PCI_EXP_TYPE_DOWNSTREAM;
    const unsigned at = bytes.capability(PCI_CAP_ID_EXP, 0x3c);
    bytes.word(at + PCI_EXP_FLAGS, 2U | type << 4 | (port ? PCI_EXP_FLAGS_SLOT : 0U));
    if (f.reset_method.str().contains("flr"))
        bytes.longword(at + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_FLR | PCI_EXP_DEVCAP_RBER);
    constexpr unsigned kGen3X8 = PCI_EXP_LNKCAP_SLS_8_0GB | 8U << 4;
    bytes.longword(at + PCI_EXP_LNKCAP, kGen3X8);
    if (!f.is_vf()) bytes.word(at + PCI_EXP_LNKSTA, kGen3X8);
    if (port) {
        bytes.longword(at + PCI_EXP_DEVCAP2, PCI_EXP_DEVCAP2_ARI);
        bytes.word(at + PCI_EXP_DEVCTL2, spec.ari ? PCI_EXP_DEVCTL2_ARI : 0U);
    }
}

void put_sriov(Bytes& bytes, const FunctionSpec& spec) {
    const pci::SrIov& sriov = *spec.function.sriov;
    const unsigned at = bytes.extended(PCI_EXT_CAP_ID_SRIOV, 1, 0x40);
    const unsigned enabled = sriov.enabled == 0 ? 0U : PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE;
    bytes.word(at + PCI_SRIOV_CTRL, enabled | (sriov.ari == true ? PCI_SRIOV_CTRL_ARI : 0U));
    bytes.word(at + PCI_SRIOV_INITIAL_VF, sriov.initial.value_or(0));
    bytes.word(at + PCI_SRIOV_TOTAL_VF, spec.total_vfs);
    bytes.word(at + PCI_SRIOV_NUM_VF, sriov.enabled);
    bytes.word(at + PCI_SRIOV_VF_OFFSET, sriov.offset.value_or(0));
    bytes.word(at + PCI_SRIOV_VF_STRIDE, sriov.stride.value_or(0));
    bytes.word(at + PCI_SRIOV_VF_DID, sriov.vf_device.value_or(0));
    bytes.longword(at + PCI_SRIOV_SUP_PGSIZE, 0x553);
    bytes.longword(at + PCI_SRIOV_SYS_PGSIZE, 1);
    put_bars(bytes, at + PCI_SRIOV_BAR, sriov.vf_bars);
}

}  // namespace

std::vector<std::uint8_t> config_bytes(const FunctionSpec& spec) {
    const pci::Function& f = spec.function;
    Bytes bytes(f.pcie_type ? 4096 : 256);
    put_header(bytes, spec);
    const unsigned power = bytes.capability(PCI_CAP_ID_PM, PCI_PM_SIZEOF);
    bytes.word(power + PCI_PM_PMC, 3);
    if (!f.is_bridge()) {
        const unsigned msix = bytes.capability(PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
        bytes.word(msix + PCI_MSIX_FLAGS, 9);  // ten vectors
    }
    if (!f.pcie_type) return bytes.take();
    put_pcie(bytes, spec);
    bytes.extended(PCI_EXT_CAP_ID_ERR, 2, 0x48);
    if (spec.acs) {
        const unsigned acs = bytes.extended(PCI_EXT_CAP_ID_ACS, 1, 8);
        constexpr unsigned kAll =
            PCI_ACS_SV | PCI_ACS_TB | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF | PCI_ACS_DT;
        bytes.word(acs + PCI_ACS_CAP, kAll);
        bytes.word(acs + PCI_ACS_CTRL, *spec.acs);
    }
    if (spec.ari && !f.is_bridge()) bytes.extended(PCI_EXT_CAP_ID_ARI, 1, 8);
    if (f.sriov) put_sriov(bytes, spec);
    return bytes.take();
}

}  // namespace vfb::tree
