// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the daemon knows of PFs and the kernel does not show, in a plan.
#pragma once

#include <map>
#include <string>

#include "broker/plan.hpp"
#include "hardware.hpp"

namespace vfb::daemon {

// Nothing can be done with a PF before the kernel has come back from it, and what is read of it
// meanwhile is of no state that stays: that is all the plan says of it.
void put_off_stuck(broker::Plan& plan, const std::map<std::string, PfStatus>& pfs);

// PFs that failed, where the plan does not say why nothing is done: what is there may be all that
// the configuration asks for, as far as it could be read.
void add_failed(broker::Plan& plan, const std::map<std::string, PfStatus>& pfs);

}  // namespace vfb::daemon
