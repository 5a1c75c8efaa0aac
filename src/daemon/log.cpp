// SPDX-License-Identifier: GPL-2.0-or-later
#include "log.hpp"

#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

// The place in this file is nobody's business but that of who reads the source.
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include <cstdlib>

namespace vfb::daemon {
namespace {

// Whether standard error is the very stream that systemd made for the journal
// (systemd.exec(5) $JOURNAL_STREAM): it may have been redirected since.
bool is_journal() {
    const char* stream = ::getenv("JOURNAL_STREAM");
    struct stat now{};
    return stream != nullptr && ::fstat(STDERR_FILENO, &now) == 0 &&
           fmt::format("{}:{}", now.st_dev, now.st_ino) == stream;
}

bool for_journal() {
    static const bool journal = is_journal();
    return journal;
}

}  // namespace

void log_line(Level level, std::string_view text) {
    std::string line;
    // The journal takes the priority off again; a terminal would show it.
    if (for_journal()) line = fmt::format("<{}>", static_cast<int>(level));
    line += text;
    line += '\n';
    // One write, so that lines of threads do not mix. A log that cannot be written is no reason to
    // stop handing out functions.
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

void log_fields(Level level, std::string_view text, const std::vector<std::string>& fields) {
    std::vector<iovec> parts;
    parts.reserve(fields.size());
    // sd_journal_sendv(3) reads them only.
    for (const auto& field : fields)
        parts.push_back({.iov_base = const_cast<char*>(field.data()), .iov_len = field.size()});
    if (for_journal() && sd_journal_sendv(parts.data(), static_cast<int>(parts.size())) == 0)
        return;
    log_line(level, text);
}

void log_error(const Error& error, Level level) {
    log_line(level, error.message());
    if (!error.hint.empty()) log_line(level, "hint: " + error.hint);
}

}  // namespace vfb::daemon
