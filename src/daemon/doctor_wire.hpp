// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the daemon tells its worker for Diagnose, as JSON.
#pragma once

#include "doctor/doctor.hpp"
#include "proto/json.hpp"

namespace vfb::daemon {

proto::Json to_json(const doctor::DaemonFacts& facts);
Result<doctor::DaemonFacts> daemon_facts_from_json(const proto::Json& json);

}  // namespace vfb::daemon
