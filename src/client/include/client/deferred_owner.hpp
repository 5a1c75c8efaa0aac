// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Leases that outlive their connection, asked for in two steps: the lease is the connection's until
// whoever asked has it in hand, and its owner's from then on. If the answer is never read (the
// program gives up, is killed, or can open no more files), it ends with the connection, where
// nobody would know its number and it would be held for nothing.
#pragma once

#include <string_view>

#include "client/lease.hpp"

namespace vfb::client {

// Makes `request` one for a lease of the connection, and returns the method that gives it to the
// owner that was asked for: `Transfer` or `Keep`. Empty, and the request is as it was: it is for
// the connection, or for a guest that gets a network interface, which has to be moved away before
// Keep.
std::string_view defer_owner(LeaseRequest& request);

// Calls that method; does nothing when it is empty. When it fails, the lease is ended.
Result<> give_to_owner(Client& client, std::string_view method, const Lease& lease);

}  // namespace vfb::client
