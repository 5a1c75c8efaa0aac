// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a command line of QEMU says that matters to the devices of a lease. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace vfb::cli {

struct QemuCommand {
    std::optional<std::string> iommufd;   // id of its first -object iommufd
    std::optional<int> iommufd_fd;        // the descriptor that it names
    std::optional<std::uint64_t> memory;  // of -m in bytes, `maxmem` if there is one
    bool guest_iommu = false;             // each device maps the guest's memory for itself
};

// Code::invalid where the command cannot work: a microvm without PCIe.
Result<QemuCommand> read_qemu_command(const std::vector<std::string>& words);

}  // namespace vfb::cli
