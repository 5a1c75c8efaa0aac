// SPDX-License-Identifier: GPL-2.0-or-later
//
// The attachments that vfbrokerd knows: leases whose guests' names are attachment_name().
#pragma once

#include <string>
#include <vector>

#include "client/lease_list.hpp"
#include "config.hpp"

namespace vfb::cni {

Outcome<client::Client> connect(const Config& config);
// Those of the network; of all stages but the one in which ADD still holds the lease itself.
Outcome<std::vector<client::LeaseSummary>> attachments_of(client::Client& client,
                                                          const std::string& network);

}  // namespace vfb::cni
