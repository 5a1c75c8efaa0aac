// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/shared_name.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace vfb {
namespace {

TEST(SharedName, EqualTextsAreInMemoryOnce) {
    const SharedName one("Intel Corporation");
    const SharedName other(std::string("Intel ") + "Corporation");
    EXPECT_EQ(one, other);
    EXPECT_EQ(&one.str(), &other.str());
    EXPECT_NE(one, SharedName("Mellanox Technologies"));
    EXPECT_EQ(one.str(), "Intel Corporation");
}

TEST(SharedName, StartsEmpty) {
    EXPECT_TRUE(SharedName().empty());
    EXPECT_EQ(SharedName(), SharedName(""));
    EXPECT_FALSE(SharedName("a").empty());
}

TEST(SharedName, IsMadeByAnyThread) {
    std::vector<SharedName> made(8 * 100);
    {
        std::vector<std::jthread> threads;
        for (std::size_t t = 0; t < 8; ++t)
            threads.emplace_back([&made, t] {
                for (std::size_t i = 0; i < 100; ++i)
                    made[t * 100 + i] = SharedName("name " + std::to_string(i));
            });
    }
    for (std::size_t i = 0; i < made.size(); ++i) {
        EXPECT_EQ(made[i], made[i % 100]);
        EXPECT_EQ(made[i].str(), "name " + std::to_string(i % 100));
    }
}

}  // namespace
}  // namespace vfb
