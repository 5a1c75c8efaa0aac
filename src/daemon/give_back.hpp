// SPDX-License-Identifier: GPL-2.0-or-later
//
// GiveBack: what the configuration names no more is given back to the host as it was found: drivers
// are restored, VFs that were created here are removed, and a PF's link that was down is set down.
// It happens as soon as nothing is leased or being scrubbed, also after a restart; what cannot be
// given back (somebody holds it) is logged and tried again at the next reload.
#pragma once

#include <set>
#include <string>

#include "broker/broker.hpp"
#include "hardware.hpp"
#include "worker.hpp"

namespace vfb::daemon {

class GiveBack {
public:
    GiveBack(Workers& workers, World& world, broker::Broker& broker, Hardware& hardware)
        : workers_(workers), world_(world), broker_(broker), hardware_(hardware) {}

    // After the configuration was applied: looks for PFs that it does not name.
    void begin();
    // After a slot changed: gives back what is at rest by now.
    void check();
    void on_end(std::function<void()> callback) { on_end_ = std::move(callback); }
    // A PF that is stuck does not count: nobody knows when that ends.
    [[nodiscard]] bool idle() const { return running_.empty(); }

private:
    void give_back(const broker::Slot& slot);
    void give_back(const broker::StoredPf& pf);
    void given_back(const broker::StoredPf& pf, const Result<WorkerReply>& reply);

    Workers& workers_;
    World& world_;
    broker::Broker& broker_;
    Hardware& hardware_;
    std::vector<broker::StoredPf> pending_;  // not named by the configuration, not yet begun
    std::function<void()> on_end_;
    std::set<std::string> running_;  // PFs that a worker gives back now
};

}  // namespace vfb::daemon
