// SPDX-License-Identifier: GPL-2.0-or-later
//
// Plan: the difference between a configuration and the machine, as a list that can be read, and by
// which it is applied. Making one is pure: what the machine has was surveyed before.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/broker.hpp"
#include "broker/change.hpp"
#include "broker/device_work.hpp"

namespace vfb::broker {

// What is to be done to one PF.
struct PfPlan {
    std::string name;
    std::optional<pci::Address> address;
    std::vector<Change> changes;
    // What is not done now, and why: VFs that are leased or in use, a PF that is not there.
    std::vector<Error> blocked;
    // What is done as soon as a lease ends, in words.
    std::vector<std::string> later;
    // The number of VFs changes and nothing is in the way: all of them are replaced.
    bool resize = false;
    // This machine cannot do what is asked of it (`blocked` says what): all of it is left as it is.
    bool refused = false;
};

struct Plan {
    std::vector<PfPlan> pfs;    // only those with something in them
    std::vector<Change> pools;  // of who may lease from them and how
    [[nodiscard]] std::size_t count(Change::Action action) const;
    [[nodiscard]] bool empty() const { return pfs.empty() && pools.empty(); }
    // The first thing that is in the way.
    [[nodiscard]] const Error* blocked() const;
};

// A PF of the configuration as it was found, or why it was not.
struct Seen {
    std::optional<pci::Address> address;
    Survey survey;
    std::optional<Error> problem;
};

// Takes out the uses that the operator set aside; what has a VF open by VFIO stays.
void set_aside(std::map<std::string, Seen>& seen, const Despite& despite);

// `wanted` against what was `seen` of its PFs (by name), the slots, leases and policy of `broker`,
// and the PFs that were touched before (`remembered`).
Plan make_plan(const Config& wanted, const Broker& broker, const std::map<std::string, Seen>& seen,
               const std::vector<StoredPf>& remembered);

}  // namespace vfb::broker
