// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Deadline: a moment on the monotonic clock until which to wait for something.
#pragma once

#include <algorithm>
#include <chrono>

namespace vfb {

class Deadline {
public:
    using Clock = std::chrono::steady_clock;

    explicit Deadline(std::chrono::milliseconds from_now) : at_(Clock::now() + from_now) {}

    [[nodiscard]] bool expired() const { return Clock::now() >= at_; }
    // What poll(2) takes: milliseconds left, rounded up, never negative.
    [[nodiscard]] int poll_timeout() const {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(at_ - Clock::now());
        return static_cast<int>(std::max<std::chrono::milliseconds::rep>(left.count(), 0));
    }

private:
    Clock::time_point at_;
};

}  // namespace vfb
