// SPDX-License-Identifier: GPL-2.0-or-later
//
// The daemon's log: lines on stderr with sd-daemon(3) priorities, which the journal understands.
// Libraries return errors; only the daemon writes them down. Safe from any thread.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace vfb::daemon {

enum class Level { error = 3, warning = 4, notice = 5, info = 6 };

void log_line(Level level, std::string_view text);
// `fields` (NAME=VALUE) as an entry of the journal when standard error is the journal's, else
// `text` as a line.
void log_fields(Level level, std::string_view text, const std::vector<std::string>& fields);
// Message, and its hint on a line of its own.
void log_error(const Error& error, Level level = Level::error);

template <class... Args>
void log(Level level, fmt::format_string<Args...> format, Args&&... args) {
    log_line(level, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace vfb::daemon
