// SPDX-License-Identifier: GPL-2.0-or-later
//
// Surveyor: what a plan compares the configuration with, read from the kernel by the PFs' workers.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "broker/plan.hpp"
#include "hardware.hpp"
#include "worker.hpp"
#include "world.hpp"

namespace vfb::daemon {

using SeenPfs = std::map<std::string, broker::Seen>;  // by name in the configuration

class Surveyor {
public:
    Surveyor(Workers& workers, World& world, const Hardware& hardware)
        : workers_(workers), world_(world), hardware_(hardware) {}

    // All PFs of `config`; one that cannot be read is in it with the problem. `done` exactly once.
    void survey(const broker::Config& config, std::function<void(SeenPfs)> done);

    // What the PFs can be asked for that are in use already; one that cannot be read is not in it.
    // `done` exactly once.
    using Limits = std::map<std::string, broker::PfLimits>;  // by name in the configuration
    void read_limits(const broker::Config& config, std::function<void(const Limits&)> done);

private:
    struct Survey;
    struct ReadLimits;
    void survey_pf(const std::shared_ptr<Survey>& survey, const broker::PfConfig& pf,
                   const std::vector<std::string>& asked, const Result<pci::Address>& address);

    Workers& workers_;
    World& world_;
    const Hardware& hardware_;
};

}  // namespace vfb::daemon
