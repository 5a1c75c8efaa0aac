// SPDX-License-Identifier: GPL-2.0-or-later
//
// What explains a function, as JSON: from the worker to the daemon, which passes most of it on.
#pragma once

#include <vector>

#include "doctor/explain.hpp"
#include "proto/json.hpp"

namespace vfb::daemon {

proto::Json to_json(const Finding& finding);
proto::Json to_json(const std::vector<Finding>& findings);
// `function`, `isolation`, `uses`, `holders`, `problems`, and all of Explain but its verdict.
proto::Json to_json(const doctor::Explanation& explanation);
// The same of a function that could not be read at all: only why, and `unread`.
proto::Json unread_to_json(const Error& error);

}  // namespace vfb::daemon
