// SPDX-License-Identifier: GPL-2.0-or-later
#include "log.hpp"

#include <unistd.h>

#include <cstdlib>

namespace vfb::daemon {
namespace {

// The journal takes the priority off again; a terminal would show it.
bool for_journal() {
    static const bool journal = ::getenv("JOURNAL_STREAM") != nullptr;
    return journal;
}

}  // namespace

void log_line(Level level, std::string_view text) {
    std::string line;
    if (for_journal()) line = fmt::format("<{}>", static_cast<int>(level));
    line += text;
    line += '\n';
    // One write, so that lines of threads do not mix. A log that cannot be written is no reason to
    // stop handing out functions.
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

void log_error(const Error& error, Level level) {
    log_line(level, error.message());
    if (!error.hint.empty()) log_line(level, "hint: " + error.hint);
}

}  // namespace vfb::daemon
