// SPDX-License-Identifier: GPL-2.0-or-later
#include "pf_problems.hpp"

#include <algorithm>

namespace vfb::daemon {
namespace {

using State = PfStatus::State;

broker::PfPlan& plan_of(broker::Plan& plan, const std::string& name) {
    const auto found = std::ranges::find(plan.pfs, name, &broker::PfPlan::name);
    return found == plan.pfs.end() ? plan.pfs.emplace_back() : *found;
}

}  // namespace

void put_off_stuck(broker::Plan& plan, const std::map<std::string, PfStatus>& pfs) {
    for (const auto& [name, status] : pfs) {
        if (status.state != State::stuck || !status.problem) continue;
        broker::PfPlan& pf = plan_of(plan, name);
        pf = {};
        pf.name = name;
        pf.address = status.address;
        pf.blocked = {*status.problem};
    }
}

void add_failed(broker::Plan& plan, const std::map<std::string, PfStatus>& pfs) {
    for (const auto& [name, status] : pfs) {
        if (status.state != State::failed || !status.problem) continue;
        broker::PfPlan& pf = plan_of(plan, name);
        pf.name = name;
        pf.address = status.address;
        if (pf.blocked.empty()) pf.blocked = {*status.problem};
    }
}

}  // namespace vfb::daemon
