// SPDX-License-Identifier: GPL-2.0-or-later
//
// Durations of many runs of one thing, and what is said of them.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

namespace vfb::bench {

class Samples {
public:
    using Clock = std::chrono::steady_clock;

    // Runs `body` once and keeps how long it took.
    template <class Body>
    auto time(Body body) {
        const auto begin = Clock::now();
        auto result = body();
        taken_.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
        return result;
    }
    // Microseconds that a share `p` of the runs stayed below.
    [[nodiscard]] double percentile(double p) const {
        std::vector<double> sorted = taken_;
        std::ranges::sort(sorted);
        const auto index = static_cast<std::size_t>(p * static_cast<double>(sorted.size() - 1));
        return sorted.at(index);
    }

private:
    std::vector<double> taken_;
};

}  // namespace vfb::bench
