// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/log_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "moment.hpp"

namespace vfb::cli {
namespace {

constexpr std::int64_t kMicroseconds = 1'000'000;

std::string shown(const std::optional<std::int64_t>& value) {
    return value ? std::to_string(*value) : "";
}

// Who asked; of a lease that ended by itself, whose it was.
std::string process_of(const LogEntry& entry) {
    if (!entry.pid) return shown(entry.owner_pid);
    return entry.command.empty() ? shown(entry.pid)
                                 : fmt::format("{} {}", entry.command, *entry.pid);
}

void put(proto::Json& json, const char* name, const std::string& value) {
    if (!value.empty()) json[name] = value;
}

void put(proto::Json& json, const char* name, const std::optional<std::int64_t>& value) {
    if (value) json[name] = *value;
}

proto::Json to_json(const LogEntry& entry) {
    proto::Json json{{"time", moment_text(entry.time / kMicroseconds)},
                     {"microseconds", entry.time},
                     {"event", entry.event},
                     {"message", entry.message},
                     {"functions", entry.functions},
                     {"physicalFunctions", entry.pfs}};
    put(json, "lease", entry.lease);
    put(json, "pool", entry.pool);
    put(json, "guest", entry.guest);
    put(json, "owner", entry.owner);
    put(json, "ownerUid", entry.owner_uid);
    put(json, "ownerPid", entry.owner_pid);
    put(json, "uid", entry.uid);
    put(json, "pid", entry.pid);
    put(json, "command", entry.command);
    return json;
}

}  // namespace

Table log_table(const std::vector<LogEntry>& entries,
                const std::function<std::string(std::int64_t)>& user_name) {
    Table table(columns_of("log"));
    for (const auto& entry : entries) {
        const auto uid = entry.owner_uid ? entry.owner_uid : entry.uid;
        table.row({{.text = moment_text(entry.time / kMicroseconds)},
                   {.text = entry.event},
                   {.text = shown(entry.lease)},
                   {.text = fmt::format("{}", fmt::join(entry.functions, ","))},
                   {.text = entry.pool},
                   {.text = entry.guest},
                   {.text = uid ? user_name(*uid) : ""},
                   {.text = process_of(entry)}});
    }
    return table;
}

proto::Json log_json(const std::vector<LogEntry>& entries) {
    proto::Json events = proto::Json::array();
    for (const auto& entry : entries) events.push_back(to_json(entry));
    return {{"events", std::move(events)}};
}

}  // namespace vfb::cli
