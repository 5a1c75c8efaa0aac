// SPDX-License-Identifier: GPL-2.0-or-later
//
// The end of a lease on request. Whoever asks is told who has its functions open still: they are
// not free before that process closes them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "events.hpp"
#include "leasing.hpp"

namespace vfb::daemon {
namespace {

using namespace std::chrono_literals;
using broker::LeaseId;

// Who asks waits for it, and it is a courtesy.
constexpr auto kHoldersTimeout = 5s;

std::string operation_of(LeaseId id) {
    return fmt::format("release lease {}", id);
}

std::vector<std::string> names_of(const proto::Json& holders) {
    std::vector<std::string> names;
    for (const auto& holder : holders)
        names.push_back(fmt::format("pid {} ({})", holder.at("pid").get<pid_t>(),
                                    holder.at("name").get<std::string>()));
    return names;
}

}  // namespace

struct Leasing::Releasing {
    LeaseId id = 0;
    std::optional<std::uint64_t> generation;
    broker::Caller caller;
    Released done;
    std::size_t outstanding = 1;
    Held held = std::vector<HeldFunction>{};
};

void Leasing::release(LeaseId id, std::optional<std::uint64_t> generation,
                      const broker::Caller& caller, Released done) {
    const auto lease = find_settled(id, caller, operation_of(id));
    if (!lease) return done(std::unexpected(lease.error()));
    if (const auto there = broker_.find_to_end(id, generation); !there)
        return done(std::unexpected(there.error()));
    const auto r = std::make_shared<Releasing>(
        Releasing{.id = id, .generation = generation, .caller = caller, .done = std::move(done)});
    releasing_.push_back(r);
    std::map<std::string, std::vector<pci::Address>> by_pf;
    // A network interface has no node that could be open.
    for (const auto& function : (*lease)->functions)
        if (!function.lost && (*lease)->hand_off != broker::HandOff::netdev)
            by_pf[function.slot.pf].push_back(function.address);
    for (const auto& [pf, addresses] : by_pf) {
        ++r->outstanding;
        find_holders(r, pf, addresses);
    }
    if (--r->outstanding == 0) end(r);
}

// Before the lease ends: from then on its functions are opened for the scrub.
void Leasing::find_holders(const ReleasingPtr& r, const std::string& pf,
                           const std::vector<pci::Address>& addresses) {
    proto::Json texts = proto::Json::array();
    for (const auto& address : addresses) texts.push_back(address.str());
    hardware_.worker_of(pf).call(
        {.operation = "holders",
         .parameters = {{"addresses", std::move(texts)}},
         .timeout = kHoldersTimeout,
         .subject = addresses.front().str(),
         .done =
             [this, r, addresses](const Result<WorkerReply>& reply) {
                 if (!reply) r->held.reset();
                 for (std::size_t i = 0; reply && r->held && i < addresses.size(); ++i)
                     if (auto names = names_of(reply->parameters.at("holders").at(i));
                         !names.empty())
                         r->held->push_back(
                             {.function = addresses[i], .holders = std::move(names)});
                 if (--r->outstanding == 0) end(r);
             },
         .part = {},
         .late = {}});
}

void Leasing::end(const ReleasingPtr& r) {
    // Done already when this daemon was about to end: see refuse_waiting().
    if (std::erase(releasing_, r) == 0) return;
    const auto lease = find_settled(r->id, r->caller, operation_of(r->id));
    if (!lease) return r->done(std::unexpected(lease.error()));
    std::string how = "released by " + describe(r->caller);
    if (r->held)
        for (const auto& [function, holders] : *r->held)
            how += fmt::format("; {} is still open in {}", function, fmt::join(holders, ", "));
    if (auto ended = end(r->id, r->generation, how, &r->caller); !ended)
        return r->done(std::unexpected(std::move(ended).error()));
    r->done(std::move(r->held));
}

void Leasing::end_releasing() {
    while (!releasing_.empty()) {
        const auto r = releasing_.front();
        r->held.reset();
        end(r);
    }
}

}  // namespace vfb::daemon
