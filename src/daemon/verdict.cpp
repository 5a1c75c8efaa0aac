// SPDX-License-Identifier: GPL-2.0-or-later
#include "verdict.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace vfb::daemon {
namespace {

using broker::SlotState;

constexpr auto kTryAgain = "mend that, then vfbroker reload (as root) tries again";

FunctionVerdict no(std::string state, std::string text, std::string hint) {
    return {.leasable = false,
            .state = std::move(state),
            .text = std::move(text),
            .hint = std::move(hint)};
}

FunctionVerdict not_viable(const VerdictFacts& f) {
    return no("not-viable", f.refusal, f.refusal_hint);
}

FunctionVerdict in_use(const VerdictFacts& f) {
    return no("in-use", fmt::format("the host uses it: {}", fmt::join(f.uses, "; ")),
              f.pool != nullptr
                  ? "end that use and set its interface down, then vfbroker reload (as root)"
                  : "the host loses that if the function is given away: end it first");
}

FunctionVerdict leased(const VerdictFacts& f) {
    const broker::Lease& lease = *f.lease;
    std::string who = fmt::format("it is leased to a process of uid {}", lease.owner.uid);
    if (f.may_touch) {
        who = fmt::format("it is leased to pid {} ({}) of uid {}", lease.owner.process.pid, f.owner,
                          lease.owner.uid);
        if (!lease.guest.empty()) who += fmt::format(", for the guest {}", lease.guest);
    }
    return no("leased", fmt::format("{}: lease {} of pool {}", who, lease.id, lease.pool),
              f.may_touch ? fmt::format("it is free when its owner ends, or after vfbroker release "
                                        "{} and its last holder has closed it",
                                        lease.id)
                          : "its owner or root can release it");
}

// What went wrong last, and what to do about it; the words for what is still so are better.
FunctionVerdict quarantined(const VerdictFacts& f) {
    if (!f.refusal.empty()) return not_viable(f);
    if (!f.uses.empty()) return in_use(f);
    const auto& problem = f.slot->problem;
    return no("quarantined",
              problem ? fmt::format("it is quarantined: {}", problem->message())
                      : "it could not be proven clean",
              problem && !problem->hint.empty() ? problem->hint : kTryAgain);
}

FunctionVerdict clean(const VerdictFacts& f) {
    if (!f.refusal.empty()) return not_viable(f);
    if (!f.allowed)
        return no("not-allowed",
                  fmt::format("it is free, but you may not lease from pool {}", f.slot->pool),
                  fmt::format("an administrator can add you at {}", f.pool->location.str()));
    if (!f.drained.empty())
        return no("drained", fmt::format("it is clean, and {} is drained", f.drained),
                  fmt::format("vfbroker resume {} (as root)", f.drained));
    return {.leasable = true,
            .state = "available",
            .text = fmt::format("it is clean and free in pool {}", f.slot->pool),
            .hint = fmt::format("vfbroker run {} -- COMMAND ... {{}} ...", f.slot->pool)};
}

FunctionVerdict of_slot(const VerdictFacts& f) {
    const auto& problem = f.slot->problem;
    const std::string why = problem ? problem->message() : "";
    const std::string hint = problem ? problem->hint : "";
    switch (f.slot->state) {
        case SlotState::clean:
            return clean(f);
        case SlotState::leased:
            if (f.lease != nullptr) return leased(f);
            break;
        case SlotState::quarantined:
            return quarantined(f);
        case SlotState::dirty:
            return no("dirty", fmt::format("its last holder has not closed it yet: {}", why),
                      hint.empty() ? "end that process: nobody can take it away from it" : hint);
        case SlotState::stuck:
            return no("stuck", fmt::format("a call of the kernel on it has not come back: {}", why),
                      hint.empty() ? "the kernel's log may say more; only a reboot helps if the "
                                     "call never returns"
                                   : hint);
        case SlotState::preparing:
        case SlotState::absent:
        case SlotState::unmanaged:
            break;
    }
    return no("preparing", "it is being bound, reset and checked",
              fmt::format("vfbroker lease {} --wait 30 waits for it", f.slot->pool));
}

FunctionVerdict of_pf(const VerdictFacts& f) {
    if (f.function.sriov->total == 0)
        return no("not-leasable",
                  "it could have virtual functions (VFs), which are what is leased, but its "
                  "firmware allows none",
                  "turn SR-IOV on in the firmware setup of the machine and of the card");
    return no("not-leasable",
              fmt::format("a physical function stays with the host; its virtual functions (VFs) "
                          "are leased, of which it has {} and can have {}",
                          f.function.sriov->enabled, f.function.sriov->total),
              f.function.sriov->enabled > 0
                  ? "vfbroker list --tree shows them"
                  : "name it in a [pf.NAME] with vfs, and that in a [pool.NAME]: see "
                    "vfbroker.toml(5)");
}

FunctionVerdict unmanaged(const VerdictFacts& f) {
    if (f.function.is_bridge())
        return no("not-leasable", "a bridge stays with the host",
                  "explain the functions below it: vfbroker list --all");
    if (f.function.is_pf()) return of_pf(f);
    if (!f.function.is_vf())
        return no("not-leasable", "it is no virtual function (VF), and others are not leased",
                  "vfbroker list shows the functions that have or can have VFs");
    if (!f.uses.empty()) return in_use(f);
    if (!f.refusal.empty()) return not_viable(f);
    return no("no-pool", "no pool has it",
              fmt::format("name its physical function {} in a [pf.NAME], and that in a "
                          "[pool.NAME]: see vfbroker.toml(5)",
                          f.function.physfn->str()));
}

}  // namespace

FunctionVerdict judge(const VerdictFacts& facts) {
    const bool managed = facts.slot != nullptr && facts.pool != nullptr;
    return managed ? of_slot(facts) : unmanaged(facts);
}

proto::Json to_json(const FunctionVerdict& verdict) {
    proto::Json json{
        {"leasable", verdict.leasable}, {"state", verdict.state}, {"text", verdict.text}};
    if (!verdict.hint.empty()) json["hint"] = verdict.hint;
    return json;
}

}  // namespace vfb::daemon
