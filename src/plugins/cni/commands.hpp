// SPDX-License-Identifier: GPL-2.0-or-later
//
// The commands of CNI, each from what the runtime asks to what is printed (null: nothing).
//
// An attachment is a lease of vfbrokerd with hand-off `netdev`, whose guest's name says network,
// container and interface. While ADD runs the lease is its connection's, so that a death at any
// point ends it; with its last step it becomes the guest's. Ending a lease is all that it takes to
// end an attachment: the daemon takes the function from its kernel driver, and with that goes the
// interface, in whatever namespace it is by then.
#pragma once

#include "config.hpp"

namespace vfb::cni {

Outcome<proto::Json> add(const Environment& environment, const std::string& input);
Outcome<proto::Json> del(const Environment& environment, const std::string& input);
Outcome<proto::Json> check(const Environment& environment, const std::string& input);
Outcome<proto::Json> collect_garbage(const Environment& environment, const std::string& input);
Outcome<proto::Json> status(const Environment& environment, const std::string& input);
proto::Json version(const std::string& input);

}  // namespace vfb::cni
