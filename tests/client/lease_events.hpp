// SPDX-License-Identifier: GPL-2.0-or-later
//
// How a broker answers WatchLeases.
#pragma once

#include <poll.h>

#include <string>
#include <vector>

#include "proto/connection.hpp"

namespace vfb::test {

struct State {
    int lease = 7;
    std::vector<std::string> lost = {};
    std::string wanted = {};
    std::string ended = {};
};

inline proto::Json parameters_of(const std::vector<State>& states) {
    const auto text = [](const std::string& value) {
        return value.empty() ? proto::Json() : proto::Json(value);
    };
    proto::Json leases = proto::Json::array();
    for (const State& state : states)
        leases.push_back({{"lease", state.lease},
                          {"lost", state.lost},
                          {"returnReason", text(state.wanted)},
                          {"ended", text(state.ended)}});
    return {{"leases", std::move(leases)}};
}

// A part (there is more to come), or the last reply.
inline proto::Json states(const std::vector<State>& states, bool continues = true) {
    return proto::make_reply(parameters_of(states), continues);
}

// Whether it is readable within five seconds, or within `timeout` ms.
inline bool readable(int fd, int timeout = 5000) {
    pollfd poll{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&poll, 1, timeout) == 1;
}

}  // namespace vfb::test
