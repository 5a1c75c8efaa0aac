// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/undo.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfb {
namespace {

using testing::ElementsAre;

struct Log {
    std::vector<std::string> done;
    std::vector<std::string> reported;

    Undo::Reporter reporter() {
        return [this](const Error& error) { reported.push_back(error.operation); };
    }
    Undo::Step step(const std::string& name, bool works = true) {
        return [this, name, works]() -> Result<> {
            done.push_back(name);
            if (!works) return fail(Code::failed, name, name, "it would not");
            return {};
        };
    }
};

TEST(Undo, TakesBackLastFirst) {
    Log log;
    {
        Undo undo(log.reporter());
        undo.add(log.step("a"));
        undo.add(log.step("b"));
    }
    EXPECT_THAT(log.done, ElementsAre("b", "a"));
    EXPECT_TRUE(log.reported.empty());
}

TEST(Undo, KeepsWhatIsCommitted) {
    Log log;
    {
        Undo undo(log.reporter());
        undo.add(log.step("a"));
        undo.commit();
    }
    EXPECT_TRUE(log.done.empty());
}

TEST(Undo, FailsWithTheErrorAndOnlyOnce) {
    Log log;
    {
        Undo undo(log.reporter());
        undo.add(log.step("a"));
        const auto error = undo.fail(fail(Code::busy, "do it", "x", "somebody is").error()).error();
        EXPECT_EQ(error.code, Code::busy);
        EXPECT_EQ(error.message(), "cannot do it: somebody is");
    }
    EXPECT_THAT(log.done, ElementsAre("a"));
}

TEST(Undo, GoesOnPastFailuresAndReportsThem) {
    Log log;
    Undo undo(log.reporter());
    undo.add(log.step("a", false));
    undo.add(log.step("b"));
    undo.add(log.step("c", false));
    const auto error = undo.fail(fail(Code::busy, "do it", "x", "").error()).error();
    EXPECT_THAT(log.done, ElementsAre("c", "b", "a"));
    EXPECT_THAT(log.reported, ElementsAre("c", "a"));
    EXPECT_EQ(error.message(),
              "cannot do it: and undoing it failed: cannot c: it would not; and undoing it failed: "
              "cannot a: it would not");
}

TEST(Undo, ReportsFromItsDestructor) {
    Log log;
    {
        Undo undo(log.reporter());
        undo.add(log.step("a", false));
    }
    EXPECT_THAT(log.reported, ElementsAre("a"));
}

}  // namespace
}  // namespace vfb
