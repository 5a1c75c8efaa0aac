// SPDX-License-Identifier: GPL-2.0-or-later
#include "pci/function.hpp"

#include <fmt/format.h>

namespace vfb::pci {

std::string Function::ids() const {
    return fmt::format("{:04x}:{:04x}", vendor, device);
}

}  // namespace vfb::pci
