// SPDX-License-Identifier: GPL-2.0-or-later
//
// ConfigSpace: what the inventory does not read of a function's configuration space: Access Control
// Services. Reads only what is asked for, as each four bytes are a transaction on the bus.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.hpp"
#include "base/sys_root.hpp"
#include "pci/address.hpp"

namespace vfb::iommu {

class ConfigSpace {
public:
    static Result<ConfigSpace> open(const SysRoot& root, const pci::Address& address);

    // Without CAP_SYS_ADMIN the kernel shows the first 64 bytes only: no capability.
    [[nodiscard]] bool complete() const { return long_at(64).has_value(); }
    // 32 bits at `offset`, a multiple of 4; nullopt beyond what there is.
    [[nodiscard]] std::optional<std::uint32_t> long_at(std::size_t offset) const;
    // Where an extended capability (PCIe 7.6) begins.
    [[nodiscard]] std::optional<std::size_t> find_extended(std::uint16_t id) const;

private:
    explicit ConfigSpace(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

}  // namespace vfb::iommu
