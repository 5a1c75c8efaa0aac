// SPDX-License-Identifier: GPL-2.0-or-later
#include "gate.hpp"

#include <utility>

namespace vfb::daemon {
namespace {

using namespace std::chrono_literals;

// The inventory has 30 s itself; a card whose driver is being probed can hold it up.
constexpr auto kInventoryTimeout = 35s;

Error too_late() {
    return fail(Code::timeout, "look at this machine", "functions",
                "its functions are still being read", "vfbroker doctor says what holds that up")
        .error();
}

}  // namespace

void Gate::pass(std::uint64_t session, Then then) {
    if (open_) return then({});
    if (failure_) return then(std::unexpected(*failure_));
    const auto it = waiting_.insert(waiting_.end(),
                                    {.session = session, .then = std::move(then), .deadline = {}});
    auto timer = loop_.after(kInventoryTimeout, [this, it] {
        const Waiting late = std::move(*it);
        waiting_.erase(it);
        late.then(std::unexpected(too_late()));
    });
    if (timer) {
        it->deadline = std::move(*timer);
        return;
    }
    const Waiting unwatched = std::move(*it);
    waiting_.erase(it);
    unwatched.then(std::unexpected(timer.error()));
}

void Gate::decide(const Result<>& inventory) {
    open_ = inventory.has_value();
    failure_ = open_ ? std::nullopt : std::optional(inventory.error());
    for (const auto& waiting : std::exchange(waiting_, {})) waiting.then(inventory);
}

void Gate::connection_closed(std::uint64_t session) {
    std::erase_if(waiting_, [&](const Waiting& waiting) { return waiting.session == session; });
}

}  // namespace vfb::daemon
