// SPDX-License-Identifier: GPL-2.0-or-later
//
// Denials: what was asked for by somebody who may not have it, as events. Anybody may ask as often
// as he likes, so that of one user only so many are written down in a minute: what others did must
// not be lost among them.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "broker/model.hpp"

namespace vfb::daemon {

class Denials {
public:
    static constexpr unsigned kMostInAMinute = 20;

    // `pool`: that the call named, if it did.
    void note(const broker::Caller& caller, const std::string& pool, const Error& error);

    enum class Answer { write, write_the_last, pass_over };
    // What becomes of one more denial of that user.
    Answer count(uid_t uid, std::chrono::steady_clock::time_point now);

private:
    struct Minute {
        std::chrono::steady_clock::time_point begin;
        unsigned count = 0;
    };
    std::map<uid_t, Minute> minutes_;
};

}  // namespace vfb::daemon
