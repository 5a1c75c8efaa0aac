// SPDX-License-Identifier: GPL-2.0-or-later
//
// Which configuration is in force, and what is wrong with the files if it is not theirs.
#pragma once

#include <optional>
#include <string_view>

#include "base/result.hpp"
#include "proto/json.hpp"

namespace vfb::daemon {

struct ConfigState {
    // As io.vfbroker ConfigurationStatus. last_good: that which was in force before, of this boot.
    // none: there is no such; nothing is leased and no PF touched, and what was leased stays.
    enum class InForce { files, last_good, none };
    InForce in_force = InForce::files;
    // Why the files are not in force, as they were read last; the other mistakes are its causes.
    std::optional<Error> fault;
};
std::string_view to_string(ConfigState::InForce in_force);  // `files`, `last-good`, `none`
// What that means, in words: `the last good one of this boot is in force`.
std::string_view in_words(ConfigState::InForce in_force);

proto::Json to_json(const ConfigState& state);

}  // namespace vfb::daemon
