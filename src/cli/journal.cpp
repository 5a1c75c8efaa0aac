// SPDX-License-Identifier: GPL-2.0-or-later
#include "journal.hpp"

#include <fmt/format.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <string_view>

namespace vfb::cli {
namespace {

constexpr const char* kOperation = "read the journal";

struct Close {
    void operator()(sd_journal* journal) const { ::sd_journal_close(journal); }
};
using Journal = std::unique_ptr<sd_journal, Close>;

std::string first(const JournalFields& fields, std::string_view name) {
    const auto found = fields.find(name);
    return found == fields.end() ? "" : found->second;
}

std::vector<std::string> all(const JournalFields& fields, std::string_view name) {
    std::vector<std::string> values;
    for (auto [at, end] = fields.equal_range(name); at != end; ++at) values.push_back(at->second);
    return values;
}

std::optional<std::int64_t> number(const JournalFields& fields, std::string_view name) {
    const std::string text = first(fields, name);
    std::int64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || stop != text.data() + text.size()) return {};
    return value;
}

std::unexpected<Error> unreadable(int rc) {
    return fail_errno(-rc, kOperation, "journal", {}, "journalctl --verify may say more");
}

// Without the right to read it, it is opened all the same, and has nothing in it.
Result<> check_access(sd_journal* journal) {
    const bool found = ::sd_journal_has_persistent_files(journal) > 0 ||
                       ::sd_journal_has_runtime_files(journal) > 0;
    if (found) return {};
    if (::geteuid() != 0)
        return fail(Code::denied, kOperation, "journal",
                    "this user may not, or this host keeps none",
                    "sudo vfbroker log, or as a member of the group systemd-journal or adm");
    return fail(Code::not_found, kOperation, "journal", "this host keeps none",
                "systemd-journald(8) keeps it; without systemd see what vfbrokerd writes to its "
                "standard error");
}

Result<Journal> open_journal() {
    sd_journal* opened = nullptr;
    if (const int rc = ::sd_journal_open(&opened, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
        rc < 0)
        return unreadable(rc);
    Journal journal(opened);
    VFB_CHECK(check_access(journal.get()));
    return journal;
}

// Matches of one field are alternatives; those of different ones all have to hold.
Result<> add_matches(sd_journal* journal, const LogQuery& query) {
    std::vector<std::string> matches{"_UID=0"};
    for (const auto event : log_events())
        matches.push_back(fmt::format("VFBROKER_EVENT={}", event));
    if (!query.function.empty()) matches.push_back("VFBROKER_FUNCTION=" + query.function);
    if (query.lease) matches.push_back(fmt::format("VFBROKER_LEASE={}", *query.lease));
    if (!query.guest.empty()) matches.push_back("VFBROKER_GUEST=" + query.guest);
    if (!query.pool.empty()) matches.push_back("VFBROKER_POOL=" + query.pool);
    for (const auto& match : matches)
        if (const int rc = ::sd_journal_add_match(journal, match.data(), match.size()); rc < 0)
            return unreadable(rc);
    return {};
}

Result<LogEntry> entry_at(sd_journal* journal) {
    std::uint64_t time = 0;
    if (const int rc = ::sd_journal_get_realtime_usec(journal, &time); rc < 0)
        return unreadable(rc);
    JournalFields fields;
    const void* data = nullptr;
    std::size_t size = 0;
    ::sd_journal_restart_data(journal);
    int rc = 0;
    while ((rc = ::sd_journal_enumerate_available_data(journal, &data, &size)) > 0) {
        const std::string_view field(static_cast<const char*>(data), size);
        const auto equals = field.find('=');
        if (equals != std::string_view::npos)
            fields.emplace(field.substr(0, equals), field.substr(equals + 1));
    }
    if (rc < 0) return unreadable(rc);
    return read_entry(fields, static_cast<std::int64_t>(time));
}

}  // namespace

std::span<const std::string_view> log_events() {
    static constexpr std::array<std::string_view, 6> kEvents{"granted", "transferred", "released",
                                                             "denied",  "despite",     "applied"};
    return kEvents;
}

LogEntry read_entry(const JournalFields& fields, std::int64_t time) {
    return {.time = time,
            .event = first(fields, "VFBROKER_EVENT"),
            .message = first(fields, "MESSAGE"),
            .lease = number(fields, "VFBROKER_LEASE"),
            .functions = all(fields, "VFBROKER_FUNCTION"),
            .pfs = all(fields, "VFBROKER_PF"),
            .pool = first(fields, "VFBROKER_POOL"),
            .guest = first(fields, "VFBROKER_GUEST"),
            .owner = first(fields, "VFBROKER_OWNER"),
            .owner_uid = number(fields, "VFBROKER_OWNER_UID"),
            .owner_pid = number(fields, "VFBROKER_OWNER_PID"),
            .uid = number(fields, "VFBROKER_UID"),
            .pid = number(fields, "VFBROKER_PID"),
            .command = first(fields, "VFBROKER_COMMAND")};
}

// From the end, as long as they are wanted: who asks for the last few reads no more than those.
Result<std::vector<LogEntry>> read_journal(const LogQuery& query) {
    VFB_TRY(const auto journal, open_journal());
    VFB_CHECK(add_matches(journal.get(), query));
    if (const int rc = ::sd_journal_seek_tail(journal.get()); rc < 0) return unreadable(rc);
    std::vector<LogEntry> entries;
    constexpr std::int64_t kMicroseconds = 1'000'000;
    while (!query.most || entries.size() < *query.most) {
        const int rc = ::sd_journal_previous(journal.get());
        if (rc < 0) return unreadable(rc);
        if (rc == 0) break;
        VFB_TRY(auto entry, entry_at(journal.get()));
        if (query.since && entry.time < *query.since * kMicroseconds) break;
        entries.push_back(std::move(entry));
    }
    std::ranges::reverse(entries);
    return entries;
}

}  // namespace vfb::cli
