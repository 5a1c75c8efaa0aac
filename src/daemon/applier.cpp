// SPDX-License-Identifier: GPL-2.0-or-later
#include "applier.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "events.hpp"
#include "log.hpp"
#include "pf_problems.hpp"
#include "wire.hpp"

namespace vfb::daemon {

using broker::SlotState;

namespace {

void log_applied(const broker::Plan& plan, const broker::Caller& caller) {
    using Action = broker::Change::Action;
    EventFacts facts;
    for (const auto& pf : plan.pfs) {
        facts.pfs.push_back(pf.name);
        if (pf.address) facts.functions.push_back(*pf.address);
    }
    facts.caller = caller;
    log_event(Event::applied, facts,
              fmt::format("{} applies the configuration: {} to add, {} to change, {} to remove",
                          describe(caller), plan.count(Action::add), plan.count(Action::change),
                          plan.count(Action::remove)));
}

}  // namespace

struct Applier::Running {
    Request request;
    std::optional<Progress> told;
    bool begun = false;      // false: the plan is being made
    bool finishing = false;  // what is left is being looked for
    // Numbers of VFs to change when all else is at rest, by PF.
    std::map<std::string, unsigned> to_resize;
    std::size_t resizing = 0;
    std::vector<Error> errors;
};

Applier::Applier(Parts parts) : parts_(std::move(parts)) {}
Applier::~Applier() = default;

void Applier::plan(const broker::Despite& despite, broker::FileTexts instead, PlanDone done) {
    parts_.loader.load(std::move(instead), [this, despite, done = std::move(done)](
                                               const Result<broker::Config>& config) {
        if (!config) return done(std::unexpected(config.error()));
        make_plan(*config, despite, done);
    });
}

void Applier::left(PlanDone done) {
    plan({}, {}, [this, done = std::move(done)](Result<broker::Plan> plan) {
        if (plan) add_failed(*plan, parts_.hardware.pfs());
        done(std::move(plan));
    });
}

void Applier::make_plan(broker::Config config, const broker::Despite& despite, PlanDone done) {
    // The configuration has to stay until the survey is done.
    const auto kept = std::make_shared<const broker::Config>(std::move(config));
    parts_.surveyor.survey(*kept, [this, kept, despite, done = std::move(done)](SeenPfs seen) {
        for (const auto& [name, pf] : seen)
            if (pf.address && !pf.problem)
                parts_.hardware.learn(name, *pf.address, pf.survey.limits);
        broker::set_aside(seen, despite);
        const auto remembered = parts_.broker.remembered_pfs();
        if (!remembered) return done(std::unexpected(remembered.error()));
        auto plan = broker::make_plan(*kept, parts_.broker, seen, *remembered);
        put_off_stuck(plan, parts_.hardware.pfs());
        done(std::move(plan));
    });
}

void Applier::apply(Request request) {
    if (running_)
        return request.done(fail(Code::busy, "apply the configuration", "configuration",
                                 "another one is being applied", "try again when it has ended"));
    running_ = std::make_unique<Running>();
    running_->request = std::move(request);
    parts_.loader.load([this](const Result<broker::Config>& config) {
        if (!config) return finish(std::unexpected(config.error()));
        const auto& despite = running_->request.despite;
        make_plan(*config, despite, [this, config = *config](const Result<broker::Plan>& plan) {
            if (!plan) return finish(std::unexpected(plan.error()));
            const std::string& shown = running_->request.plan;
            if (!shown.empty() && shown != plan_id(*plan))
                return finish(fail(Code::busy, "apply the configuration", "configuration",
                                   "it is not the plan any more that was shown",
                                   "look at it again: vfbroker plan"));
            begin(config, *plan);
        });
    });
}

void Applier::begin(const broker::Config& config, const broker::Plan& plan) {
    running_->begun = true;
    std::vector<broker::SlotKey> again;
    for (const auto& pf : plan.pfs)
        for (const auto& change : pf.changes)
            if (change.slot && change.action == broker::Change::Action::change)
                again.push_back(*change.slot);
    // The files count, and not what was resized by hand.
    std::vector<std::string> resized;
    for (const auto& [pf, record] : parts_.broker.resizes()) resized.push_back(pf);
    for (const auto& pf : resized)
        if (auto done = parts_.broker.forget_resize(pf); !done) log_error(done.error());
    for (const auto& pf : plan.pfs)
        if (const auto* wanted = config.find_pf(pf.name); pf.resize && wanted != nullptr)
            running_->to_resize.emplace(pf.name, wanted->vfs);
    parts_.put_in_force(config);
    log_applied(plan, running_->request.caller);
    for (const auto& key : again) {
        const auto* slot = parts_.broker.find(key);
        if (slot != nullptr && slot->state == SlotState::clean)
            parts_.hardware.scrubber().scrub(key);
    }
    check();
}

void Applier::resize() {
    const auto all = std::exchange(running_->to_resize, {});
    running_->resizing = all.size();
    for (const auto& [pf, vfs] : all)
        parts_.resizer.resize(pf, vfs, running_->request.despite, running_->request.caller,
                              [this](Result<> done) {
                                  --running_->resizing;
                                  if (!done) running_->errors.push_back(std::move(done).error());
                                  check();
                              });
}

bool Applier::at_rest() const {
    return running_->resizing == 0 && parts_.resizer.idle() && parts_.hardware.settled() &&
           parts_.give_back.idle();
}

Applier::Progress Applier::progress() const {
    Progress progress;
    // In the order of their PFs.
    for (const auto& [key, slot] : parts_.broker.slots()) {
        ++progress.total;
        if (progress.pfs.empty() || progress.pfs.back().name != key.pf)
            progress.pfs.push_back({.name = key.pf});
        PfProgress& pf = progress.pfs.back();
        ++pf.total;
        // Those that are about to be removed are none of what is asked for.
        const bool stays = !running_->to_resize.contains(key.pf);
        const bool done = slot.state == SlotState::clean || slot.state == SlotState::leased;
        if (stays && done) ++pf.clean;
        const bool moving = slot.state == SlotState::preparing || slot.state == SlotState::absent;
        if (!moving) ++progress.done;
    }
    return progress;
}

void Applier::check() {
    if (!running_ || !running_->begun || running_->finishing) return;
    const Progress now = progress();
    if (running_->request.progress && running_->told != now) running_->request.progress(now);
    running_->told = now;
    if (!at_rest()) return;
    if (!running_->to_resize.empty()) return resize();
    running_->finishing = true;
    left([this](Result<broker::Plan> left) {
        if (left && !running_->errors.empty()) left = std::unexpected(running_->errors.front());
        finish(std::move(left));
    });
}

void Applier::finish(Result<broker::Plan> left) {
    const auto running = std::move(running_);
    running->request.done(std::move(left));
}

std::string plan_id(const broker::Plan& plan) {
    // FNV-1a: nobody has a reason to forge one.
    std::uint64_t hash = 0xcbf29ce484222325;
    const auto add = [&](std::string_view text) {
        for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
        hash = (hash ^ 0xff) * 0x100000001b3;
    };
    for (const auto& pf : plan.pfs) {
        add(pf.name);
        for (const auto& change : pf.changes) {
            add(change.subject);
            add(to_string(change.action));
            add(change.text);
        }
        for (const auto& error : pf.blocked) add(error.message());
        for (const auto& text : pf.later) add(text);
    }
    for (const auto& change : plan.pools) {
        add(change.subject);
        add(change.text);
    }
    return fmt::format("{:016x}", hash);
}

}  // namespace vfb::daemon
