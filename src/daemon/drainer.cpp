// SPDX-License-Identifier: GPL-2.0-or-later
#include "drainer.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "log.hpp"

namespace vfb::daemon {

using namespace std::chrono_literals;
using broker::SlotState;

bool Drainer::is_drained(const broker::DrainTarget& target) const {
    return broker_.leases_of(target).empty() &&
           std::ranges::none_of(broker_.slots(), [&](const auto& entry) {
               const broker::Slot& slot = entry.second;
               return broker_.concerns(target, slot) &&
                      (slot.state == SlotState::dirty || slot.state == SlotState::preparing);
           });
}

Error Drainer::too_late(const Waiting& waiting, std::chrono::seconds wait) const {
    std::vector<std::string> left;
    for (const auto* lease : broker_.leases_of(waiting.target)) left.push_back(describe(*lease));
    for (const auto& [key, slot] : broker_.slots())
        if (!slot.lease && slot.problem && slot.state == SlotState::dirty &&
            broker_.concerns(waiting.target, slot))
            left.push_back(slot.problem->message());
    return fail(Code::timeout, "drain " + waiting.target.str(), waiting.target.name,
                fmt::format("after {} s there are still: {}", wait / 1s, fmt::join(left, "; ")),
                fmt::format("it stays drained; wait again, or vfbroker resume {}",
                            waiting.target.str()))
        .error();
}

void Drainer::drain(const broker::DrainTarget& target, std::chrono::seconds wait, Reply reply) {
    if (!broker_.drained().contains(target)) {
        if (auto done = broker_.drain(target); !done)
            return reply(std::unexpected(std::move(done).error()));
        log(Level::notice, "{} is drained: nothing of it is leased any more", target.str());
    }
    std::vector<broker::LeaseId> left;
    for (const auto* lease : broker_.leases_of(target)) left.push_back(lease->id);
    if (wait == 0s || is_drained(target)) return reply(std::move(left));
    const auto it = waiting_.insert(waiting_.end(),
                                    {.target = target, .reply = std::move(reply), .deadline = {}});
    auto timer = loop_.after(wait, [this, it, wait] {
        it->reply(std::unexpected(too_late(*it, wait)));
        waiting_.erase(it);
    });
    if (timer) it->deadline = std::move(*timer);
}

void Drainer::check() {
    for (auto it = waiting_.begin(); it != waiting_.end();) {
        if (!is_drained(it->target)) {
            ++it;
            continue;
        }
        it->reply(std::vector<broker::LeaseId>{});
        it = waiting_.erase(it);
    }
}

}  // namespace vfb::daemon
