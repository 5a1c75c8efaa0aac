// SPDX-License-Identifier: GPL-2.0-or-later
//
// ConfigSpace: a function's configuration space, read through sysfs `config`.
//
// On hardware each read of four bytes is a transaction of about a microsecond, so this reads the
// header and then only what it follows: a capability list by its links, not the space as a whole.
// Bytes beyond 64 need CAP_SYS_ADMIN; without it the kernel's answer is short, and every question
// about a capability is answered with nullopt.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/unique_fd.hpp"

namespace vfb::pci {

// The SR-IOV extended capability (PCIe 9.3.3).
struct SrIovCapability {
    std::uint16_t initial = 0;
    std::uint16_t total = 0;
    std::uint16_t offset = 0;
    std::uint16_t stride = 0;
    std::uint16_t vf_device = 0;
    bool ari = false;
};

class ConfigSpace {
public:
    // Takes the open `config` file and reads the header; nullopt when there are fewer than 64 bytes
    // (errno is 0 then) or the read fails.
    static std::optional<ConfigSpace> read(UniqueFd fd);

    // False when the device answers all ones: it is gone, in reset or without power.
    [[nodiscard]] bool responds() const;
    // A VF's own vendor register reads ffff (PCIe 9.3.4.1.1); the kernel knows its vendor from the
    // PF. Only meaningful when responds().
    [[nodiscard]] bool is_vf() const { return header_word(0) == 0xffff; }
    [[nodiscard]] std::uint8_t revision() const { return header_[8]; }
    [[nodiscard]] std::uint8_t header_type() const { return header_[14] & 0x7f; }
    [[nodiscard]] bool multifunction() const { return (header_[14] & 0x80) != 0; }

    // Device/Port Type of the PCIe capability.
    [[nodiscard]] std::optional<std::uint8_t> pcie_type() const;
    [[nodiscard]] std::optional<SrIovCapability> sriov() const;

private:
    ConfigSpace(UniqueFd fd, const std::array<std::uint8_t, 64>& header)
        : fd_(std::move(fd)), header_(header) {}

    [[nodiscard]] std::uint16_t header_word(unsigned offset) const {
        return static_cast<std::uint16_t>(header_[offset] | header_[offset + 1] << 8);
    }
    [[nodiscard]] std::optional<std::uint32_t> read_long(unsigned offset) const;
    // The first four bytes of a capability; nullopt when there is none.
    [[nodiscard]] std::optional<std::uint32_t> find(unsigned id) const;
    // Offset of an extended capability.
    [[nodiscard]] std::optional<unsigned> find_extended(unsigned id) const;

    UniqueFd fd_;
    std::array<std::uint8_t, 64> header_;
};

}  // namespace vfb::pci
