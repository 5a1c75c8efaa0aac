// SPDX-License-Identifier: GPL-2.0-or-later
#include "leftovers.hpp"

#include <utility>

namespace vfb::daemon {
namespace {

using namespace std::chrono_literals;

// Who reloads waits that long at most: systemctl, a person.
constexpr auto kRestTimeout = 20s;

}  // namespace

void Leftovers::ask(Done done) {
    if (parts_.at_rest()) return tell(std::move(done));
    const auto it = waiting_.insert(waiting_.end(), {.done = std::move(done), .deadline = {}});
    auto timer = parts_.loop.after(kRestTimeout, [this, it] {
        const Waiting late = std::move(*it);
        waiting_.erase(it);
        late.done(std::nullopt);
    });
    if (timer) {
        it->deadline = std::move(*timer);
        return;
    }
    const Waiting unwatched = std::move(*it);
    waiting_.erase(it);
    unwatched.done(std::nullopt);
}

void Leftovers::check() {
    if (waiting_.empty() || !parts_.at_rest()) return;
    for (auto& waiting : std::exchange(waiting_, {})) tell(std::move(waiting.done));
}

void Leftovers::tell(Done done) {
    parts_.applier.left([done = std::move(done)](Result<broker::Plan> left) {
        done(left ? std::optional(std::move(*left)) : std::nullopt);
    });
}

}  // namespace vfb::daemon
