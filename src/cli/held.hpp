// SPDX-License-Identifier: GPL-2.0-or-later
//
// What is said on standard error of a lease that has ended while its functions are still open.
#pragma once

#include <cstdint>

#include "proto/json.hpp"

namespace vfb::cli {

// `reply`: the parameters of a reply to io.vfbroker.Release. Nothing when nobody has them open.
void tell_held(std::int64_t lease, const proto::Json& reply);

}  // namespace vfb::cli
