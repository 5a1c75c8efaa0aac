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
// In words for `caller`: guest and process of a lease are told to its user and root only.
void add_differences(doctor::DaemonFacts& facts, const Result<broker::Plan>& plan,
                     const broker::Broker& broker, const broker::Caller& caller);

}  // namespace vfb::daemon
