// SPDX-License-Identifier: GPL-2.0-or-later
//
// Which functions of the machine the PFs of the configuration mean.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/config.hpp"
#include "iommu/groups.hpp"

namespace vfb::daemon {

// Of each PF, by its name: the one SR-IOV function that it means and no other PF does, or why
// there is none. Not among them: none or several match its selectors, what does has no SR-IOV, or
// is another PF's as well. Where some selectors match and others do not, the error says what that
// function has instead: a card was moved or replaced.
using PfMatches = std::map<std::string, Result<pci::Address>>;

// Pure.
PfMatches match_pfs(const std::vector<broker::PfConfig>& pfs, const iommu::Functions& functions);

// `match`, but for a PF that is another function already: what there is of it (leases, VFs, what is
// to be given back) would be taken for the other's. `place`: that function, while it is there.
// Pure.
Result<pci::Address> stay(const broker::PfConfig& pf, const std::optional<pci::Address>& place,
                          const Result<pci::Address>& match);

}  // namespace vfb::daemon
