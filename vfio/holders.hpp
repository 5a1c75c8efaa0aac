// SPDX-License-Identifier: GPL-2.0-or-later
//
// The whole answer to who has a function open, for the texts of errors.
#pragma once

#include "vfio/vfio.hpp"

namespace vfb::vfio {

struct Holders {
    std::vector<Holder> certain;
    // Processes with a VFIO device open that cannot be told apart: before Linux 6.17 a device
    // descriptor does not say of which function it is.
    std::vector<Holder> possible;
    bool self = false;    // the calling process has it open, too
    unsigned hidden = 0;  // processes that this one may not look into
};
Result<Holders> scan_holders(const SysRoot& root, const pci::Address& address);

// Completes "it is ...": `open in pid 812 (qemu-system-x86)`, or what is known instead.
std::string describe_open(const Holders& holders);

}  // namespace vfb::vfio
