// SPDX-License-Identifier: GPL-2.0-or-later
#include "gate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfb::daemon {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class GateTest : public testing::Test {
protected:
    // Asks for `what` over a session, and notes how it is let through.
    void pass(std::uint64_t session, const std::string& what) {
        gate.pass(session, [this, what](const Result<>& inventory) {
            passed.push_back(inventory ? what : what + ": " + inventory.error().reason);
        });
    }

    std::unique_ptr<EventLoop> loop = EventLoop::create().value();
    Gate gate{*loop};
    std::vector<std::string> passed;
};

TEST_F(GateTest, HoldsCallsUntilTheInventoryIsThere) {
    pass(1, "list");
    pass(2, "status");
    EXPECT_THAT(passed, IsEmpty());
    gate.decide({});
    EXPECT_THAT(passed, ElementsAre("list", "status"));
    pass(1, "list again");
    EXPECT_THAT(passed, ElementsAre("list", "status", "list again"));
}

TEST_F(GateTest, SaysWhyThereIsNone) {
    pass(1, "list");
    gate.decide(fail(Code::stuck, "read all functions", "all functions", "it does not come back"));
    pass(1, "later");
    EXPECT_THAT(passed, ElementsAre("list: it does not come back", "later: it does not come back"));
    gate.decide({});
    pass(1, "at last");
    EXPECT_EQ(passed.back(), "at last");
}

// Whoever is gone gets no lease.
TEST_F(GateTest, ForgetsWhoHasGone) {
    pass(1, "lease");
    pass(2, "list");
    gate.connection_closed(1);
    gate.decide({});
    EXPECT_THAT(passed, ElementsAre("list"));
}

}  // namespace
}  // namespace vfb::daemon
