// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A lease for a guest that may have been started again right after its end.
#pragma once

#include <chrono>

#include "client/lease.hpp"

namespace vfb::client {

// As lease(), but waits up to `cleaning` for functions that are being scrubbed, and asks once more
// for those that have become clean since the refusal; not for those that somebody has, where
// waiting does not help. `timeout` as of Client::call(), of each call.
Result<Lease> lease_when_clean(Client& client, LeaseRequest request, std::chrono::seconds cleaning,
                               std::chrono::milliseconds timeout);

}  // namespace vfb::client
