// SPDX-License-Identifier: GPL-2.0-or-later
//
// Events: the journal's fields, and that the catalogue, the CLI and the table have the same ones.
#include "events.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <sstream>

#include "denials.hpp"

namespace vfb::daemon {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using testing::StartsWith;

std::string catalogue() {
    const std::ifstream file(VFB_CATALOG);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

TEST(Events, AreInTheCatalogueAndNoOthers) {
    std::vector<std::string> there;
    const std::string text = catalogue();
    const std::regex heading("\n-- ([0-9a-f]+)\nSubject: ([^\n]+)\n");
    for (std::sregex_iterator it(text.begin(), text.end(), heading), end; it != end; ++it)
        there.push_back(fmt::format("{} {}", (*it)[1].str(), (*it)[2].str()));
    std::vector<std::string> here;
    for (const auto& kind : event_kinds()) {
        EXPECT_EQ(kind.message_id.size(), 32u) << kind.name;
        EXPECT_EQ(static_cast<std::size_t>(kind.event), here.size()) << kind.name;
        here.push_back(fmt::format("{} {}", kind.message_id, kind.subject));
    }
    EXPECT_EQ(there, here);
}

// A catalogue shows a field that the entry does not have as nothing.
TEST(Events, TheCatalogueNamesOnlyFieldsThatThereAre) {
    broker::Lease lease{.id = 9, .pool = "net", .guest = "web"};
    lease.functions.push_back({.slot = {.pf = "uplink", .index = 0}, .address = {0, 1, 0x10, 0}});
    auto facts = facts_of(lease);
    facts.caller = broker::Caller{.uid = 1000, .command = "vfbroker"};
    const auto fields = journal_fields(Event::granted, facts, "text");
    const std::string text = catalogue();
    const std::regex name("@([A-Z_]+)@");
    for (std::sregex_iterator it(text.begin(), text.end(), name), end; it != end; ++it)
        EXPECT_THAT(fields, Contains(StartsWith((*it)[1].str() + "=")));
}

TEST(Events, TellWhoWhatAndWhose) {
    broker::Lease lease{.id = 9, .pool = "net", .guest = "web"};
    lease.owner = {.kind = broker::OwnerKind::process, .uid = 1000, .process = {.pid = 812}};
    for (const std::uint8_t function : {0, 2})
        lease.functions.push_back(
            {.slot = {.pf = "uplink", .index = 0}, .address = {0, 1, 0x10, function}});
    auto facts = facts_of(lease);
    facts.caller = broker::Caller{.uid = 0, .process = {.pid = 813}, .command = "vfbroker"};
    EXPECT_THAT(journal_fields(Event::granted, facts, "text"),
                ElementsAre("MESSAGE=text", "PRIORITY=6", StartsWith("MESSAGE_ID="),
                            "SYSLOG_IDENTIFIER=vfbrokerd", "VFBROKER_EVENT=granted",
                            "VFBROKER_FUNCTION=0000:01:10.0", "VFBROKER_FUNCTION=0000:01:10.2",
                            "VFBROKER_PF=uplink", "VFBROKER_POOL=net", "VFBROKER_LEASE=9",
                            "VFBROKER_GUEST=web", "VFBROKER_OWNER=process",
                            "VFBROKER_OWNER_UID=1000", "VFBROKER_OWNER_PID=812", "VFBROKER_UID=0",
                            "VFBROKER_PID=813", "VFBROKER_COMMAND=vfbroker"));
    // What is not known is no field.
    EXPECT_THAT(journal_fields(Event::applied, {}, "text"),
                Not(Contains(testing::ContainsRegex("VFBROKER_(LEASE|UID|GUEST)="))));
}

TEST(Events, OneIsOneLine) {
    testing::internal::CaptureStderr();
    log_event(Event::granted, {}, "of guest web\nlease 8 ended\x1b[2J");
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "of guest web?lease 8 ended?[2J\n");
}

TEST(Denials, OfOneUserDoNotDrownTheOthers) {
    using Answer = Denials::Answer;
    Denials denials;
    const std::chrono::steady_clock::time_point begin{};
    for (unsigned i = 1; i < Denials::kMostInAMinute; ++i)
        EXPECT_EQ(denials.count(1000, begin), Answer::write);
    EXPECT_EQ(denials.count(1000, begin), Answer::write_the_last);
    EXPECT_EQ(denials.count(1000, begin + std::chrono::seconds(59)), Answer::pass_over);
    EXPECT_EQ(denials.count(1001, begin + std::chrono::seconds(59)), Answer::write);
    EXPECT_EQ(denials.count(1000, begin + std::chrono::seconds(60)), Answer::write);
}

}  // namespace
}  // namespace vfb::daemon
