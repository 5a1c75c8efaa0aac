// SPDX-License-Identifier: GPL-2.0-or-later
#include "config_state.hpp"

namespace vfb::daemon {

std::string_view to_string(ConfigState::InForce in_force) {
    switch (in_force) {
        case ConfigState::InForce::files:
            return "files";
        case ConfigState::InForce::last_good:
            return "last-good";
        case ConfigState::InForce::none:
            break;
    }
    return "none";
}

std::string_view in_words(ConfigState::InForce in_force) {
    return in_force == ConfigState::InForce::none
               ? "no pool has functions before it is corrected; what is leased stays leased"
               : "the last good one of this boot is in force";
}

proto::Json to_json(const ConfigState& state) {
    proto::Json json{{"inForce", to_string(state.in_force)}, {"faults", proto::Json::array()}};
    const Error* error = state.fault ? &*state.fault : nullptr;
    for (; error != nullptr; error = error->cause.get())
        json["faults"].push_back(
            {{"place", error->subject}, {"message", error->reason}, {"hint", error->hint}});
    return json;
}

}  // namespace vfb::daemon
