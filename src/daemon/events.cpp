// SPDX-License-Identifier: GPL-2.0-or-later
#include "events.hpp"

#include <array>
#include <set>
#include <utility>

namespace vfb::daemon {
namespace {

constexpr std::array kKinds{
    EventKind{.event = Event::granted,
              .name = "granted",
              .message_id = "1de1b8766d1b41358e4d3a7bcce78079",
              .subject = "A lease was granted",
              .level = Level::info},
    EventKind{.event = Event::transferred,
              .name = "transferred",
              .message_id = "b4ce3b54f5ad4a0e9ccbdcf530035d68",
              .subject = "A lease was given to another owner",
              .level = Level::info},
    EventKind{.event = Event::released,
              .name = "released",
              .message_id = "bbe530205eac47d18e1c98d57691125b",
              .subject = "A lease has ended",
              .level = Level::info},
    EventKind{.event = Event::denied,
              .name = "denied",
              .message_id = "96b65dae5bb4487285d3e5b17d34b276",
              .subject = "A request was denied",
              .level = Level::notice},
    EventKind{.event = Event::despite,
              .name = "despite",
              .message_id = "b28559a7c8b643ca87a1eece538b2d68",
              .subject = "A function is taken although the host uses it",
              .level = Level::warning},
    EventKind{.event = Event::applied,
              .name = "applied",
              .message_id = "fbbbcfb5b00e4441b554bed3c405afaf",
              .subject = "The configuration is applied",
              .level = Level::notice},
};

const EventKind& kind_of(Event event) {
    return kKinds[static_cast<std::size_t>(std::to_underlying(event))];
}

// Names are others': none begins a line of its own.
void keep_on_one_line(std::string& text) {
    for (char& byte : text)
        if (static_cast<unsigned char>(byte) < ' ' || byte == '\x7f') byte = '?';
}

class Fields {
public:
    void add(std::string_view name, std::string_view value) {
        if (!value.empty()) list_.push_back(fmt::format("{}={}", name, value));
    }
    void add_number(std::string_view name, std::int64_t value) {
        list_.push_back(fmt::format("{}={}", name, value));
    }
    std::vector<std::string> take() { return std::move(list_); }

private:
    std::vector<std::string> list_;
};

}  // namespace

std::span<const EventKind> event_kinds() {
    return kKinds;
}

EventFacts facts_of(const broker::Lease& lease) {
    EventFacts facts;
    std::set<std::string> pfs;
    for (const auto& function : lease.functions) {
        facts.functions.push_back(function.address);
        pfs.insert(function.slot.pf);
    }
    facts.pfs.assign(pfs.begin(), pfs.end());
    facts.pool = lease.pool;
    facts.lease = lease.id;
    facts.guest = lease.guest;
    facts.owner = lease.owner;
    return facts;
}

std::string describe(const broker::Caller& caller) {
    const auto& command = caller.command;
    return fmt::format("uid {} ({}{}pid {})", caller.uid, command, command.empty() ? "" : ", ",
                       caller.process.pid);
}

std::string describe_owner(const broker::Lease& lease) {
    const auto user = fmt::format("uid {}, pid {}", lease.owner.uid, lease.owner.process.pid);
    return lease.guest.empty() ? user : fmt::format("guest {} ({})", lease.guest, user);
}

std::vector<std::string> journal_fields(Event event, const EventFacts& facts,
                                        std::string_view text) {
    const EventKind& kind = kind_of(event);
    Fields fields;
    fields.add("MESSAGE", text);
    fields.add_number("PRIORITY", std::to_underlying(kind.level));
    fields.add("MESSAGE_ID", kind.message_id);
    fields.add("SYSLOG_IDENTIFIER", "vfbrokerd");
    fields.add("VFBROKER_EVENT", kind.name);
    for (const auto& function : facts.functions) fields.add("VFBROKER_FUNCTION", function.str());
    for (const auto& pf : facts.pfs) fields.add("VFBROKER_PF", pf);
    fields.add("VFBROKER_POOL", facts.pool);
    if (facts.lease) fields.add_number("VFBROKER_LEASE", *facts.lease);
    fields.add("VFBROKER_GUEST", facts.guest);
    if (facts.owner) {
        fields.add("VFBROKER_OWNER", to_string(facts.owner->kind));
        fields.add_number("VFBROKER_OWNER_UID", facts.owner->uid);
        fields.add_number("VFBROKER_OWNER_PID", facts.owner->process.pid);
    }
    if (facts.caller) {
        fields.add_number("VFBROKER_UID", facts.caller->uid);
        fields.add_number("VFBROKER_PID", facts.caller->process.pid);
        fields.add("VFBROKER_COMMAND", facts.caller->command);
    }
    return fields.take();
}

void log_event(Event event, const EventFacts& facts, std::string text) {
    keep_on_one_line(text);
    log_fields(kind_of(event).level, text, journal_fields(event, facts, text));
}

}  // namespace vfb::daemon
