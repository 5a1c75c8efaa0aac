// SPDX-License-Identifier: GPL-2.0-or-later
//
// Views: what io.vfbroker answers, made of the world, the broker and the hardware's state.
#pragma once

#include <cstdint>
#include <string>

#include "broker/broker.hpp"
#include "config_state.hpp"
#include "doctor/doctor.hpp"
#include "hardware.hpp"
#include "leasing.hpp"
#include "proto/connection.hpp"
#include "wire.hpp"
#include "world.hpp"

namespace vfb::daemon {

class Views {
public:
    Views(const World& world, const broker::Broker& broker, const Hardware& hardware,
          const ConfigState& config_state)
        : world_(world), broker_(broker), hardware_(hardware), config_state_(config_state) {}

    // The whole reply to List, serialised: kept until something changes, since a large host has
    // thousands of functions and is asked often.
    proto::Text list_text(bool managed_only);
    [[nodiscard]] Json summary(const pci::Function& function) const;
    // `explained` is the worker's answer to `explain`.
    [[nodiscard]] Json detail(const Json& explained, const pci::Function& function) const;
    // The reply to Explain, made of the same.
    [[nodiscard]] Json explanation(const Json& explained, const pci::Function& function,
                                   const broker::Caller& caller, const SysRoot& root) const;
    [[nodiscard]] Json pools(const broker::Caller& caller) const;
    [[nodiscard]] Json leases(const broker::Caller& caller) const;
    [[nodiscard]] Json lease(const broker::Lease& lease, const Granted* granted) const;
    [[nodiscard]] Json status(const SysRoot& root) const;
    // What Diagnose cannot see from outside of the daemon.
    [[nodiscard]] doctor::DaemonFacts daemon_facts() const;

private:
    struct Kept {
        std::uint64_t world = 0;
        std::uint64_t broker = 0;
        proto::Text text;
    };
    [[nodiscard]] Json pool(const broker::PoolConfig& pool, const broker::Caller& caller) const;
    [[nodiscard]] Json states_of(const pci::SrIov& sriov) const;
    [[nodiscard]] Json leased_function(const broker::LeasedFunction& function) const;

    const World& world_;
    const broker::Broker& broker_;
    const Hardware& hardware_;
    const ConfigState& config_state_;
    Kept all_;
    Kept managed_;
};

}  // namespace vfb::daemon
