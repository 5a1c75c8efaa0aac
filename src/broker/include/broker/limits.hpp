// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a configuration asks of a PF that this machine cannot do: found before anything is touched.
// Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "broker/config.hpp"
#include "pci/address.hpp"

namespace vfb::broker {

// The setting of a PF that drivers may lack, among the names in PfLimits::lacking.
inline constexpr std::string_view kEswitchMode = "eswitch_mode";

// What a PF of this machine can be asked for. What is not known refuses nothing.
struct PfLimits {
    std::optional<unsigned> vfs;             // at most
    bool has_netdev = true;                  // it is a NIC
    std::optional<std::uint32_t> least_mtu;  // bytes, of its netdev
    std::optional<std::uint32_t> most_mtu;   // absent: its driver names none
    std::vector<std::string> lacking;        // what its driver does not have, of asked_attributes()
    std::optional<std::set<std::string>> drivers;  // of PCI functions, that the kernel has now
    bool operator==(const PfLimits&) const = default;
    [[nodiscard]] bool lacks(std::string_view name) const {
        return std::ranges::find(lacking, name) != lacking.end();
    }
};

struct Refusal {
    Location where;  // of the value that cannot be
    Error error;     // Code::unsupported; names the PF, what it cannot do, and the place
};

// Names of what a driver may lack and is asked for: the attributes that pools ask of the VFs of the
// PF, and that are not what a driver starts with, and eswitch_mode.
std::vector<std::string> asked_attributes(const Config& config, const PfConfig& pf);

// All that cannot be of what `config` asks of that PF, in the order of its places.
std::vector<Refusal> refusals(const Config& config, const PfConfig& pf, const pci::Address& address,
                              const PfLimits& limits);
// The first of them with the others as its causes; nullopt: all of it can be.
std::optional<Error> refusal(const Config& config, const PfConfig& pf, const pci::Address& address,
                             const PfLimits& limits);

}  // namespace vfb::broker
