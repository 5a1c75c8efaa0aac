// SPDX-License-Identifier: GPL-2.0-or-later
//
// A function in lines, for people.
#pragma once

#include <string>

#include "proto/json.hpp"

namespace vfb::cli {

// `reply`: the parameters of a reply to io.vfbroker.Show.
std::string describe(const proto::Json& reply);

}  // namespace vfb::cli
