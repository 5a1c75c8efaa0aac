// SPDX-License-Identifier: GPL-2.0-or-later
#include "pci/function.hpp"

#include <fmt/format.h>

#include "attributes.hpp"

namespace vfb::pci {

std::string Function::ids() const {
    return fmt::format("{:04x}:{:04x}", vendor, device);
}

std::vector<std::string> Function::reset_methods() const {
    return split_words(reset_method.str());
}

}  // namespace vfb::pci
