// SPDX-License-Identifier: GPL-2.0-or-later
//
// What `vfbroker log` makes of entries of the journal, and of the times that people write.
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "journal.hpp"
#include "moment.hpp"
#include "output/log_text.hpp"

namespace vfb::cli {
namespace {

constexpr std::int64_t kNewYear = 1767225600;  // 2026-01-01T00:00:00Z

LogEntry granted() {
    return read_entry({{"MESSAGE", "lease 9: 0000:01:10.0, 0000:01:10.2 of pool net to guest web"},
                       {"VFBROKER_EVENT", "granted"},
                       {"VFBROKER_LEASE", "9"},
                       {"VFBROKER_FUNCTION", "0000:01:10.0"},
                       {"VFBROKER_FUNCTION", "0000:01:10.2"},
                       {"VFBROKER_PF", "uplink"},
                       {"VFBROKER_POOL", "net"},
                       {"VFBROKER_GUEST", "web"},
                       {"VFBROKER_OWNER", "guest"},
                       {"VFBROKER_OWNER_UID", "1000"},
                       {"VFBROKER_OWNER_PID", "812"},
                       {"VFBROKER_UID", "0"},
                       {"VFBROKER_PID", "813"},
                       {"VFBROKER_COMMAND", "vfbroker"},
                       {"_UID", "0"}},
                      kNewYear * 1'000'000 + 5);
}

TEST(Log, Table) {
    LogEntry ended = granted();
    ended.event = "released";
    ended.functions = {"0000:01:10.0"};
    ended.guest.clear();
    ended.uid.reset();
    ended.pid.reset();
    ended.command.clear();
    const auto table = log_table({granted(), ended}, [](std::int64_t uid) {
        return uid == 1000 ? std::string("alice") : std::to_string(uid);
    });
    EXPECT_EQ(table.str({}),
              "TIME                  EVENT     LEASE  FUNCTION                   POOL  GUEST  USER"
              "   PROCESS\n"
              "2026-01-01T00:00:00Z  granted   9      0000:01:10.0,0000:01:10.2  net   web    alice"
              "  vfbroker 813\n"
              "2026-01-01T00:00:00Z  released  9      0000:01:10.0               net   -      alice"
              "  812\n");
}

TEST(Log, Json) {
    EXPECT_EQ(log_json({granted()}).dump(),
              R"({"events":[{"time":"2026-01-01T00:00:00Z","microseconds":1767225600000005,)"
              R"("event":"granted",)"
              R"("message":"lease 9: 0000:01:10.0, 0000:01:10.2 of pool net to guest web",)"
              R"("functions":["0000:01:10.0","0000:01:10.2"],"physicalFunctions":["uplink"],)"
              R"("lease":9,"pool":"net","guest":"web","owner":"guest","ownerUid":1000,)"
              R"("ownerPid":812,"uid":0,"pid":813,"command":"vfbroker"}]})");
    EXPECT_EQ(log_json({read_entry({{"VFBROKER_LEASE", "9x"}}, 0)}).dump(),
              R"({"events":[{"time":"1970-01-01T00:00:00Z","microseconds":0,"event":"",)"
              R"("message":"","functions":[],"physicalFunctions":[]}]})");
}

class Moments : public ::testing::Test {
protected:
    Moments() {
        ::setenv("TZ", "UTC-2", 1);  // two hours east
        ::tzset();
    }
    static std::int64_t at(const std::string& text) {
        return parse_moment(text, kNow).value_or(-1);
    }
    static constexpr std::int64_t kNow = kNewYear + 10 * 3600;  // 12:00 there
};

TEST_F(Moments, AsPeopleWriteThem) {
    EXPECT_EQ(at("now"), kNow);
    EXPECT_EQ(at("today"), kNewYear - 2 * 3600);
    EXPECT_EQ(at("yesterday"), kNewYear - 26 * 3600);
    EXPECT_EQ(at("11:30"), kNow - 1800);
    EXPECT_EQ(at("2026-01-01"), kNewYear - 2 * 3600);
    EXPECT_EQ(at("2026-01-01 10:00:01"), kNewYear + 8 * 3600 + 1);
    EXPECT_EQ(at("2026-01-01T10:00:01Z"), kNewYear + 10 * 3600 + 1);
    EXPECT_EQ(at("2h ago"), kNow - 7200);
    EXPECT_EQ(at("90 min ago"), kNow - 5400);
    EXPECT_EQ(at("-3d"), kNow - 3 * 86400);
    EXPECT_EQ(at("@1767225600"), kNewYear);
    EXPECT_EQ(moment_text(at("2026-01-01T10:00:01Z")), "2026-01-01T10:00:01Z");
}

TEST_F(Moments, NothingElse) {
    for (const char* wrong : {"", "tomorrow", "2h", "ago", "-", "-2y", "2026-13-01", "2026-01-01x",
                              "@", "@-1", "25:00", "-99999999999999999999s"}) {
        const auto moment = parse_moment(wrong, kNow);
        ASSERT_FALSE(moment) << wrong;
        EXPECT_EQ(moment.error().code, Code::invalid);
        EXPECT_NE(moment.error().hint, "");
    }
}

}  // namespace
}  // namespace vfb::cli
