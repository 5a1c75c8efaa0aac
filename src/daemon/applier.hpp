// SPDX-License-Identifier: GPL-2.0-or-later
//
// Applier: what the configuration's files say against the machine (plan), and the way from the one
// to the other (apply).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "broker/plan.hpp"
#include "config_loader.hpp"
#include "give_back.hpp"
#include "resizer.hpp"
#include "surveyor.hpp"

namespace vfb::daemon {

class Applier {
public:
    struct Parts {
        ConfigLoader& loader;
        Surveyor& surveyor;
        broker::Broker& broker;
        Hardware& hardware;
        GiveBack& give_back;
        Resizer& resizer;
        // Puts a configuration into force.
        std::function<void(broker::Config)> put_in_force;
    };
    explicit Applier(Parts parts);
    ~Applier();
    Applier(const Applier&) = delete;
    Applier& operator=(const Applier&) = delete;

    using PlanDone = std::function<void(Result<broker::Plan>)>;
    // `despite`: as if these uses of the host were none; `instead`: as if files of the
    // configuration had these texts.
    void plan(const broker::Despite& despite, broker::FileTexts instead, PlanDone done);
    // What is left to do now that all is at rest, with what was tried and failed.
    void left(PlanDone done);

    // How far an apply is: functions at rest, of how many; and of each PF, how many are clean or
    // leased, of how many.
    struct PfProgress {
        std::string name;
        std::size_t clean = 0;
        std::size_t total = 0;
        bool operator==(const PfProgress&) const = default;
    };
    struct Progress {
        std::size_t done = 0;
        std::size_t total = 0;
        std::vector<PfProgress> pfs;
        bool operator==(const Progress&) const = default;
    };
    struct Request {
        std::string plan;  // identity of the plan that was shown (plan_id()); empty: any
        broker::Despite despite;
        broker::Caller caller;                          // who asks for it
        std::function<void(const Progress&)> progress;  // may be empty
        // What is left when all has been done and is at rest: nothing, or the truth about it.
        PlanDone done;
    };
    // Code::busy when one is under way, or when the plan is not the one that was shown.
    void apply(Request request);
    // Something came to rest.
    void check();

private:
    struct Running;
    void make_plan(broker::Config config, const broker::Despite& despite, PlanDone done);
    void begin(const broker::Config& config, const broker::Plan& plan);
    void resize();
    void finish(Result<broker::Plan> left);
    [[nodiscard]] bool at_rest() const;
    [[nodiscard]] Progress progress() const;

    Parts parts_;
    std::unique_ptr<Running> running_;
};

// Tells one plan from another: a short text that depends on all of it.
std::string plan_id(const broker::Plan& plan);

}  // namespace vfb::daemon
