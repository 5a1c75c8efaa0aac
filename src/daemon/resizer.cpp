// SPDX-License-Identifier: GPL-2.0-or-later
#include "resizer.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "events.hpp"
#include "log.hpp"
#include "wire.hpp"

namespace vfb::daemon {
namespace {

using namespace std::chrono_literals;
using broker::SlotState;

// Removing takes 1 s, creating 100 ms and more; both wait for the lock of the PCI bus.
constexpr auto kResizeTimeout = 60s;

std::string operation_of(const std::string& pf, unsigned vfs) {
    return fmt::format("resize PF {} to {} VFs", pf, vfs);
}

EventFacts facts_of(const std::string& pf, const pci::Address& function,
                    const broker::Caller& caller) {
    EventFacts facts;
    facts.functions = {function};
    facts.pfs = {pf};
    facts.caller = caller;
    return facts;
}

}  // namespace

// Names everybody who is in the way, not the first only.
Result<> Resizer::check_slots(const std::string& pf, const std::string& operation) const {
    std::vector<std::string> reasons;
    for (const auto& [key, slot] : broker_.slots()) {
        if (!broker_.belongs(slot, pf)) continue;
        const auto function = broker_.function_of(slot);
        const std::string where = function ? function->str() : key.str();
        if (slot.lease) {
            const broker::Lease* lease = broker_.find_lease(*slot.lease);
            const pid_t pid = lease != nullptr ? lease->owner.process.pid : 0;
            const bool named = lease != nullptr && !lease->guest.empty();
            reasons.push_back(fmt::format("{} is leased (lease {}, {}pid {} {})", where,
                                          *slot.lease,
                                          named ? fmt::format("guest {}, ", lease->guest) : "", pid,
                                          process_name(root_.proc(), pid)));
        } else if (hardware_.scrubber().is_scrubbing(key)) {
            reasons.push_back(fmt::format("{} is being scrubbed", where));
        } else if (slot.state == SlotState::dirty || slot.state == SlotState::stuck) {
            reasons.push_back(slot.problem ? slot.problem->message()
                                           : fmt::format("{} is {}", where, to_string(slot.state)));
        }
    }
    if (reasons.empty()) return {};
    return fail(Code::busy, operation, pf,
                fmt::format("all its VFs would be removed, and {}", fmt::join(reasons, "; ")),
                fmt::format("vfbroker drain pf:{} --wait keeps new leases out and waits for the "
                            "others",
                            pf));
}

Result<> Resizer::check(const std::string& pf, unsigned vfs) const {
    const auto operation = operation_of(pf, vfs);
    if (broker_.config().find_pf(pf) == nullptr)
        return fail(Code::not_found, operation, pf, "no PF of the configuration has that name",
                    "vfbroker status lists the PFs");
    const auto status = hardware_.pfs().find(pf);
    if (status == hardware_.pfs().end() || !status->second.address)
        return fail(Code::lost, operation, pf, "it is not in the machine", "vfbroker status");
    if (running_.contains(pf) || status->second.state == PfStatus::State::applying)
        return fail(Code::busy, operation, pf, "its VFs are being created or removed just now",
                    "vfbroker status says when it is ready");
    if (status->second.means_another && status->second.problem)
        return std::unexpected(*status->second.problem);
    if (status->second.state == PfStatus::State::stuck)
        return fail(Code::stuck, operation, pf,
                    status->second.problem ? status->second.problem->message() : "it is stuck");
    const pci::Function* function = world_.find(*status->second.address);
    const unsigned total = function != nullptr && function->sriov ? function->sriov->total : 0;
    if (vfs == 0 || vfs > total)
        return fail(Code::invalid, operation, pf,
                    fmt::format("{} can have 1 to {} VFs", *status->second.address, total),
                    "to have none, take the PF out of the configuration");
    return check_slots(pf, operation);
}

Result<> Resizer::begin(const std::string& pf, unsigned from, unsigned to) {
    // VFs of somebody else: when the PF is given back to the host, so many are created again.
    VFB_TRY(const auto known, broker_.remembered_pfs());
    for (auto stored : known) {
        if (stored.name != pf || stored.created_vfs || stored.found_vfs) continue;
        stored.found_vfs = from;
        VFB_CHECK(broker_.remember_pf(stored));
    }
    return broker_.begin_resize(pf, from, to);
}

void Resizer::resize(const std::string& pf, unsigned vfs, const broker::Despite& despite,
                     const broker::Caller& caller, Done done) {
    if (auto allowed = check(pf, vfs); !allowed) return done(std::move(allowed));
    const pci::Address address = *hardware_.address_of(pf);
    const auto from = static_cast<unsigned>(world_.find(address)->sriov->vfs.size());
    if (from == vfs) return done({});
    if (auto begun = begin(pf, from, vfs); !begun) return done(std::move(begun));
    for (const auto& [function, reasons] : despite)
        log_event(Event::despite, facts_of(pf, function, caller),
                  fmt::format("{} removes {} despite: {}", describe(caller), function,
                              fmt::join(reasons, ", ")));
    log(Level::info, "PF {} ({}): {} VFs are replaced by {}", pf, address, from, vfs);
    running_.insert(pf);
    hardware_.withdraw(pf, fail(Code::busy, fmt::format("use the VFs of PF {}", pf), pf,
                                fmt::format("they are being replaced by {} others", vfs))
                               .error());
    hardware_.worker_of(pf).call(
        {.operation = "resize-pf",
         .parameters = {{"pf", address.str()}, {"vfs", vfs}, {"despite", to_json(despite)}},
         .timeout = kResizeTimeout,
         .subject = address.str(),
         .done =
             [this, pf, address, done = std::move(done)](Result<WorkerReply> reply) {
                 if (!reply) log_error(reply.error());
                 if (!reply && reply.error().code == Code::stuck)
                     got_stuck(pf, address, reply.error());
                 else
                     finished(pf, reply.has_value());
                 done(reply ? Result<>() : std::unexpected(std::move(reply).error()));
             },
         .part = {},
         .late = [this, pf] { finished(pf, false); }});
}

// While the kernel is inside, the PF stays held: see `late`.
void Resizer::got_stuck(const std::string& pf, const pci::Address& address, const Error& why) {
    running_.erase(pf);
    hardware_.mark_stuck(pf, address, why);
    if (on_end_) on_end_();
}

void Resizer::finished(const std::string& pf, bool done) {
    running_.erase(pf);
    // A late answer does not say how it ended: what is there then does, see Hardware::prepared().
    if (done)
        if (auto settled = broker_.end_resize(pf, true); !settled) log_error(settled.error());
    hardware_.let_go(pf);
    if (on_end_) on_end_();
}

}  // namespace vfb::daemon
