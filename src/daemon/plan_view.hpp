// SPDX-License-Identifier: GPL-2.0-or-later
//
// A plan as io.vfbroker Plan, and as the doctor is told of it.
#pragma once

#include "broker/plan.hpp"
#include "doctor/doctor.hpp"
#include "proto/json.hpp"

namespace vfb::daemon {

proto::Json to_json(const broker::Plan& plan);
// Puts what was planned, or why nothing could be, into `facts`.
void add_differences(doctor::DaemonFacts& facts, const Result<broker::Plan>& plan);

}  // namespace vfb::daemon
