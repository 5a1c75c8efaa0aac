// SPDX-License-Identifier: GPL-2.0-or-later
#include "denials.hpp"

#include "events.hpp"

namespace vfb::daemon {

Denials::Answer Denials::count(uid_t uid, std::chrono::steady_clock::time_point now) {
    std::erase_if(minutes_, [&](const auto& entry) {
        return now - entry.second.begin >= std::chrono::minutes(1);
    });
    Minute& minute = minutes_.try_emplace(uid, Minute{.begin = now}).first->second;
    ++minute.count;
    if (minute.count < kMostInAMinute) return Answer::write;
    return minute.count == kMostInAMinute ? Answer::write_the_last : Answer::pass_over;
}

void Denials::note(const broker::Caller& caller, const std::string& pool, const Error& error) {
    const Answer answer = count(caller.uid, std::chrono::steady_clock::now());
    if (answer == Answer::pass_over) return;
    EventFacts facts;
    if (const auto function = pci::Address::parse(error.subject))
        facts.functions.push_back(*function);
    facts.pool = pool;
    facts.caller = caller;
    log_event(Event::denied, facts,
              fmt::format("denied to {}: {}{}", describe(caller), error.message(),
                          answer == Answer::write_the_last
                              ? " (more of this user within the minute are not written down)"
                              : ""));
}

}  // namespace vfb::daemon
