// SPDX-License-Identifier: GPL-2.0-or-later
//
// Which leases are a domain's, and which it needs.
#pragma once

#include <string>
#include <vector>

#include "client/functions.hpp"
#include "client/lease.hpp"
#include "client/lease_list.hpp"
#include "domain.hpp"

namespace vfb::libvirt {

// What the hook's leases are called: the domain's name and its UUID, by which they are found.
std::string guest_of(const Domain& domain);
// Taken by the hook for this domain.
bool is_of(const client::LeaseSummary& lease, const Domain& domain);
// Taken by hand for a guest of the domain's name: it stays until it is released by hand.
bool is_kept_for(const client::LeaseSummary& lease, const Domain& domain);

// The leases that the domain has to get before it starts: of all its functions that are in pools,
// those of one IOMMU group together. Refused: what libvirt would bind or configure itself.
Result<std::vector<client::LeaseRequest>> needed(const Domain& domain,
                                                 const client::FunctionList& functions,
                                                 const std::vector<client::LeaseSummary>& leases);

// Functions of the domain that are in pools and that no lease of its holds.
std::vector<std::string> unleased(const Domain& domain, const client::FunctionList& functions,
                                  const std::vector<client::LeaseSummary>& leases);

}  // namespace vfb::libvirt
