// SPDX-License-Identifier: GPL-2.0-or-later
//
// Events: what the journal is asked about later, who had which function and when. Each has a
// message id, under which udev/vfbroker.catalog explains it, and its facts as fields of their own
// (systemd.journal-fields(7)); `vfbroker log` reads them. Everything else is a line of the log.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/model.hpp"
#include "log.hpp"

namespace vfb::daemon {

enum class Event { granted, transferred, released, denied, despite, applied };

struct EventKind {
    Event event;
    std::string_view name;        // VFBROKER_EVENT
    std::string_view message_id;  // MESSAGE_ID, 32 hexadecimal digits; never another one's
    std::string_view subject;     // as in the catalogue
    Level level;
};
// In the order of Event.
std::span<const EventKind> event_kinds();

// What an event is about. What is empty is not told.
struct EventFacts {
    std::vector<pci::Address> functions;
    std::vector<std::string> pfs;  // their names in the configuration
    std::string pool;
    std::optional<broker::LeaseId> lease;
    std::string guest;
    std::optional<broker::Owner> owner;    // whose the lease is
    std::optional<broker::Caller> caller;  // who asked for it
};
EventFacts facts_of(const broker::Lease& lease);

// `uid 1000 (qemu-system-x86, pid 812)`.
std::string describe(const broker::Caller& caller);
// `guest web (uid 1000, pid 812)`, `uid 1000, pid 812`.
std::string describe_owner(const broker::Lease& lease);

// The entry of the journal: NAME=VALUE each, MESSAGE first.
std::vector<std::string> journal_fields(Event event, const EventFacts& facts,
                                        std::string_view text);
// Into the journal, or as a line where standard error is none.
void log_event(Event event, const EventFacts& facts, std::string text);

}  // namespace vfb::daemon
