// SPDX-License-Identifier: GPL-2.0-or-later
//
// A plan as io.vfbroker Plan.
#pragma once

#include "broker/plan.hpp"
#include "proto/json.hpp"

namespace vfb::daemon {

proto::Json to_json(const broker::Plan& plan);

}  // namespace vfb::daemon
