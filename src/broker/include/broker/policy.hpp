// SPDX-License-Identifier: GPL-2.0-or-later
//
// Policy: what a pool says of who may lease from it and how, and that no device shows.
#pragma once

#include <vector>

#include "broker/change.hpp"
#include "broker/config.hpp"

namespace vfb::broker {

// What `wanted` says else than `in_force`, of the pools that both have, in order of name; users and
// groups as numbers.
std::vector<Change> policy_changes(const Config& in_force, const Config& wanted);

}  // namespace vfb::broker
