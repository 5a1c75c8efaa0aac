// SPDX-License-Identifier: GPL-2.0-or-later
//
// What vfbrokerd told the journal of leases (vfbrokerd(8), JOURNAL), read back.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace vfb::cli {

// One entry. Empty and absent: the entry does not say.
struct LogEntry {
    std::int64_t time = 0;  // microseconds since the epoch
    std::string event;      // `granted`, `released`, ...
    std::string message;
    std::optional<std::int64_t> lease;
    std::vector<std::string> functions;
    std::vector<std::string> pfs;
    std::string pool;
    std::string guest;
    std::string owner;  // `process`, `connection`, `guest`
    std::optional<std::int64_t> owner_uid;
    std::optional<std::int64_t> owner_pid;
    std::optional<std::int64_t> uid;  // who asked
    std::optional<std::int64_t> pid;
    std::string command;
};

// Fields of an entry by name; a field may be there several times.
using JournalFields = std::multimap<std::string, std::string, std::less<>>;
LogEntry read_entry(const JournalFields& fields, std::int64_t time);

// The events that are asked for: all that vfbrokerd has.
std::span<const std::string_view> log_events();

// Which entries: those that fit all that is set.
struct LogQuery {
    std::string function;
    std::optional<std::int64_t> lease;
    std::string guest;
    std::string pool;
    std::optional<std::int64_t> since;  // seconds since the epoch
    std::optional<std::size_t> most;    // the last so many
};

// In the order of time. Only what root wrote counts: anybody may send the journal such fields.
// Code::denied when the journal may not be read, and by whom it may.
Result<std::vector<LogEntry>> read_journal(const LogQuery& query);

}  // namespace vfb::cli
