// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/deadline.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace vfb {
namespace {

using namespace std::chrono_literals;

TEST(Deadline, CountsDownAndNeverBelowZero) {
    const Deadline far(1h);
    EXPECT_FALSE(far.expired());
    EXPECT_GT(far.poll_timeout(), 3'590'000);
    EXPECT_LE(far.poll_timeout(), 3'600'000);
    const Deadline past(-5s);
    EXPECT_TRUE(past.expired());
    EXPECT_EQ(past.poll_timeout(), 0);
}

// poll(2) must not return before the deadline and find it not yet expired, again and again.
TEST(Deadline, RoundsUp) {
    const Deadline deadline(5ms);
    while (!deadline.expired()) {
        const int left = deadline.poll_timeout();
        if (left == 0) {
            EXPECT_TRUE(deadline.expired());
        }
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    EXPECT_EQ(deadline.poll_timeout(), 0);
}

TEST(Deadline, FitsIntoPoll) {
    EXPECT_GT(Deadline(24h * 365).poll_timeout(), 0);
}

}  // namespace
}  // namespace vfb
