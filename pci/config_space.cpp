// SPDX-License-Identifier: GPL-2.0-or-later
#include "config_space.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>

#include "libpci.hpp"

namespace vfb::pci {
namespace {

// Reads whole, or says how much there was; -1 with errno.
ssize_t read_at(int fd, unsigned offset, std::span<std::uint8_t> buffer) {
    ssize_t size;
    do size = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    while (size < 0 && errno == EINTR);
    return size;
}

std::uint16_t word_of(std::span<const std::uint8_t> bytes, unsigned offset) {
    return static_cast<std::uint16_t>(bytes[offset] | bytes[offset + 1] << 8);
}

}  // namespace

std::optional<ConfigSpace> ConfigSpace::read(UniqueFd fd) {
    std::array<std::uint8_t, 64> header{};
    const ssize_t size = read_at(fd.get(), 0, header);
    if (size < 0) return std::nullopt;
    if (static_cast<std::size_t>(size) < header.size()) {
        errno = 0;
        return std::nullopt;
    }
    return ConfigSpace(std::move(fd), header);
}

bool ConfigSpace::responds() const {
    // Class and header type are valid in a VF too, where vendor and device are all ones.
    return !std::ranges::all_of(std::span(header_).first(16),
                                [](std::uint8_t byte) { return byte == 0xff; });
}

std::optional<std::uint32_t> ConfigSpace::read_long(unsigned offset) const {
    std::array<std::uint8_t, 4> bytes{};
    if (read_at(fd_.get(), offset, bytes) != 4) return std::nullopt;
    return static_cast<std::uint32_t>(word_of(bytes, 0)) |
           static_cast<std::uint32_t>(word_of(bytes, 2)) << 16;
}

std::optional<std::uint32_t> ConfigSpace::find(unsigned id) const {
    if ((header_word(PCI_STATUS) & PCI_STATUS_CAP_LIST) == 0) return std::nullopt;
    const unsigned start =
        header_type() == PCI_HEADER_TYPE_CARDBUS ? PCI_CB_CAPABILITY_LIST : PCI_CAPABILITY_LIST;
    unsigned offset = header_[start] & ~3U;
    // A broken list may run in a circle; this many capabilities have room at most.
    for (int left = 48; left > 0 && offset >= 64; --left) {
        const auto entry = read_long(offset);
        if (!entry || (*entry & 0xff) == 0xff) return std::nullopt;
        if ((*entry & 0xff) == id) return entry;
        offset = (*entry >> 8) & 0xfc;
    }
    return std::nullopt;
}

std::optional<unsigned> ConfigSpace::find_extended(unsigned id) const {
    constexpr unsigned kFirst = 0x100;
    unsigned offset = kFirst;
    for (int left = (4096 - 256) / 8; left > 0 && offset >= kFirst; --left) {
        const auto entry = read_long(offset);
        if (!entry || *entry == 0 || *entry == 0xffffffff) return std::nullopt;
        if ((*entry & 0xffff) == id) return offset;
        offset = (*entry >> 20) & 0xffc;
    }
    return std::nullopt;
}

std::optional<std::uint8_t> ConfigSpace::pcie_type() const {
    const auto entry = find(PCI_CAP_ID_EXP);
    if (!entry) return std::nullopt;
    const auto flags = *entry >> 16;  // PCI_EXP_FLAGS
    return static_cast<std::uint8_t>((flags & PCI_EXP_FLAGS_TYPE) >> 4);
}

std::optional<SrIovCapability> ConfigSpace::sriov() const {
    const auto offset = find_extended(PCI_EXT_CAP_ID_SRIOV);
    if (!offset) return std::nullopt;
    std::array<std::uint8_t, PCI_IOV_BAR_BASE> bytes{};
    if (read_at(fd_.get(), *offset, bytes) != PCI_IOV_BAR_BASE) return std::nullopt;
    return SrIovCapability{.initial = word_of(bytes, PCI_IOV_INITIALVF),
                           .total = word_of(bytes, PCI_IOV_TOTALVF),
                           .offset = word_of(bytes, PCI_IOV_OFFSET),
                           .stride = word_of(bytes, PCI_IOV_STRIDE),
                           .vf_device = word_of(bytes, PCI_IOV_DID),
                           .ari = (word_of(bytes, PCI_IOV_CTRL) & PCI_IOV_CTRL_ARI) != 0};
}

}  // namespace vfb::pci
