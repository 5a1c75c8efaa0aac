// SPDX-License-Identifier: GPL-2.0-or-later
//
// A plan (io.vfbroker Plan) as a list that can be read.
#pragma once

#include <string>

#include "proto/json.hpp"

namespace vfb::cli {

// A block for each PF and each pool: `+` what is added, `~` what changes, `-` what goes, `!` what
// is in the way,
// `>` what is done later; then one line of sums. What is said of VFs in a row is said once.
std::string plan_text(const proto::Json& plan, bool coloured);
// How far apply is: `uplink: 4 of 6 VFs clean`, of PFs that are not done yet; of all when they are.
std::string progress_text(const proto::Json& progress);
// Whether it has anything that would change, or would but for what is in the way.
bool has_changes(const proto::Json& plan);
// Whether something is in the way that may go: not what this machine cannot do.
bool has_blocked(const proto::Json& plan);
// Whether something waits for leases to end.
bool has_later(const proto::Json& plan);
// Whether there is something that apply would do.
bool has_to_be_applied(const proto::Json& plan);

}  // namespace vfb::cli
