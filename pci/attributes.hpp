// SPDX-License-Identifier: GPL-2.0-or-later
//
// The texts of sysfs attributes that are more than one number. Pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pci/function.hpp"

namespace vfb::pci {

// What `modalias` says: `pci:v00008086d000010C9sv00008086sd0000A03Cbc02sc00i00`. One read for what
// would else be five.
struct Identity {
    std::uint16_t vendor = 0;
    std::uint16_t device = 0;
    std::uint16_t subsystem_vendor = 0;
    std::uint16_t subsystem_device = 0;
    std::uint32_t class_code = 0;
    bool operator==(const Identity&) const = default;
};
std::optional<Identity> parse_modalias(std::string_view text);

// `resource`: a line of start, end and flags for each resource of the function (linux/pci.h): the
// six BARs, the expansion ROM, and with CONFIG_PCI_IOV the six VF BARs, each as large as that of
// all VFs together. What follows are windows of bridges.
struct Resources {
    std::vector<Bar> bars;
    std::vector<Bar> vf_bars;
};
// nullopt when a line is malformed.
std::optional<Resources> parse_resource(std::string_view text);

// Words separated by blanks.
std::vector<std::string> split_words(std::string_view text);

}  // namespace vfb::pci
