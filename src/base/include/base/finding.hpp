// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Finding: one thing that was looked at, how it stands, and what to do about it. What `vfbroker
// explain` and `vfbroker doctor` are made of. A plain value.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vfb {

struct Finding {
    // pass: as it should be. note: good to know, or it could not be looked at. warn: works, but not
    // as it should. fail: something that vfbroker is for cannot work.
    enum class Level { pass, note, warn, fail };

    Level level = Level::pass;
    std::string check;    // stable, for programs: `interrupt-remapping`
    std::string subject;  // what it is about: a function, a file, a unit, or `host`
    std::string text;     // how it stands
    std::string hint;     // what to do; of every level but pass
    bool operator==(const Finding&) const = default;
};

std::string_view to_string(Finding::Level level);  // `pass`, `note`, `warn`, `fail`
std::optional<Finding::Level> level_from_string(std::string_view name);

}  // namespace vfb
