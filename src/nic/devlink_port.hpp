// SPDX-License-Identifier: GPL-2.0-or-later
//
// What devlink says of one port.
#pragma once

#include <cstddef>
#include <span>

#include "nic/devlink.hpp"

namespace vfb::nic {

// Of a DEVLINK_CMD_PORT_NEW, header included; nullopt: it is not the port of that VF.
std::optional<Devlink::Port> parse_vf_port(std::span<const std::byte> message, unsigned vf);

}  // namespace vfb::nic
