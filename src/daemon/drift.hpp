// SPDX-License-Identifier: GPL-2.0-or-later
//
// Drift: notices that another program changed attributes of VFs that are clean or leased. A clean
// one is scrubbed again if its pool says `drift = "repair"`, else quarantined with what was
// changed; under a lease it is only reported.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/broker.hpp"
#include "event_loop.hpp"
#include "hardware.hpp"
#include "nic/link_monitor.hpp"

namespace vfb::daemon {

class Drift {
public:
    Drift(EventLoop& loop, broker::Broker& broker, Hardware& hardware)
        : loop_(loop), broker_(broker), hardware_(hardware) {}

    // Watches from now on.
    Result<> start();
    // Compares the VFs of the PF with what they should be; at once, or when the look that is under
    // way has ended.
    void look(const std::string& pf);

private:
    // What a slot was when its attributes were asked for: the answer counts if it still is that.
    struct Before {
        broker::SlotState state;
        std::uint64_t generation;
        nic::VfAttributes attributes;
        bool operator==(const Before&) const = default;
    };
    using Snapshot = std::map<broker::SlotKey, Before>;

    void on_links();
    [[nodiscard]] std::optional<Before> before(const broker::Slot& slot) const;
    [[nodiscard]] Snapshot snapshot(const std::string& pf) const;
    void compare(const Snapshot& asked, const std::vector<nic::VfAttributes>& actual);
    void compare(const broker::Slot& slot, const nic::VfAttributes& actual);

    EventLoop& loop_;
    broker::Broker& broker_;
    Hardware& hardware_;
    std::optional<nic::LinkMonitor> monitor_;
    Source source_;
    std::set<std::string> looking_;
    std::set<std::string> again_;
};

}  // namespace vfb::daemon
