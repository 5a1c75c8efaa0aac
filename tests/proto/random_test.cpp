// SPDX-License-Identifier: GPL-2.0-or-later
//
// Random pieces, random descriptors, random damage: messages come out as they went in or the
// connection breaks, and no descriptor leaks. Seeded, so that a failure can be repeated.
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "pair.hpp"

namespace vfb::proto::test {
namespace {

using Random = std::mt19937_64;

std::size_t below(Random& random, std::size_t end) {
    return std::uniform_int_distribution<std::size_t>(0, end - 1)(random);
}

// Any JSON, its strings with all kinds of characters.
Json some_json(Random& random, int depth) {
    switch (below(random, depth > 0 ? 6 : 4)) {
        case 0:
            return below(random, 2) == 0;
        case 1:
            return static_cast<std::int64_t>(random());
        case 2:
            return nullptr;
        case 3: {
            std::string text;
            for (std::size_t i = below(random, 40); i > 0; --i)
                text += static_cast<char>(1 + below(random, 127));
            return text;
        }
        case 4: {
            Json array = Json::array();
            for (std::size_t i = below(random, 6); i > 0; --i)
                array.push_back(some_json(random, depth - 1));
            return array;
        }
        default: {
            Json object = Json::object();
            for (std::size_t i = below(random, 6); i > 0; --i)
                object["k" + std::to_string(i)] = some_json(random, depth - 1);
            return object;
        }
    }
}

struct Sent {
    Json body;
    std::size_t descriptors = 0;
};

// Sends one message in random pieces, descriptors with the first byte; receives now and then.
Sent send_one(Random& random, const Pair& pair, const UniqueFd& descriptor) {
    Sent sent{.body = {{"value", some_json(random, 4)}},
              .descriptors = below(random, 3) == 0 ? 1 + below(random, 5) : 0};
    std::string bytes = sent.body.dump();
    bytes.push_back('\0');
    std::vector<int> numbers(sent.descriptors, descriptor.get());
    for (std::size_t at = 0; at < bytes.size();) {
        const auto size = 1 + below(random, bytes.size() - at);
        send_raw(pair.peer, std::string_view(bytes).substr(at, size), numbers);
        numbers.clear();
        at += size;
    }
    return sent;
}

void take(Pair& pair, std::vector<Sent>& expected, std::size_t& next) {
    for (const auto& message : receive_all(pair.connection)) {
        ASSERT_LT(next, expected.size());
        ASSERT_EQ(message.body, expected[next].body);
        ASSERT_EQ(message.descriptors.size(), expected[next].descriptors);
        ++next;
    }
}

TEST(Random, MessagesComeOutAsTheyWentIn) {
    const auto before = open_descriptors();
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        SCOPED_TRACE(seed);
        Random random(seed);
        Pair pair({.batch = 1 + below(random, 8)});
        const auto descriptor = some_descriptor();
        std::vector<Sent> expected;
        std::size_t next = 0;
        for (int i = 0; i < 50; ++i) {
            expected.push_back(send_one(random, pair, descriptor));
            if (below(random, 2) == 0) take(pair, expected, next);
            if (::testing::Test::HasFatalFailure()) return;
        }
        take(pair, expected, next);
        ASSERT_EQ(next, expected.size());
    }
    EXPECT_EQ(open_descriptors(), before);
}

// Some of a stream's bytes changed, dropped or doubled.
std::string damaged(Random& random, std::string bytes) {
    for (std::size_t i = 1 + below(random, 4); i > 0 && !bytes.empty(); --i) {
        const auto at = below(random, bytes.size());
        switch (below(random, 3)) {
            case 0:
                bytes[at] = static_cast<char>(random());
                break;
            case 1:
                bytes.erase(at, 1 + below(random, 8));
                break;
            default:
                bytes.insert(at, bytes.substr(at, 1 + below(random, 64)));
        }
    }
    return bytes;
}

TEST(Random, DamageBreaksTheConnectionAtMost) {
    const auto before = open_descriptors();
    for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
        SCOPED_TRACE(seed);
        Random random(seed);
        Pair pair;
        const auto descriptor = some_descriptor();
        std::string bytes;
        for (std::size_t i = below(random, 4); i < 4; ++i)
            bytes += Json{{"value", some_json(random, 4)}}.dump() + '\0';
        bytes = damaged(random, std::move(bytes));
        for (std::size_t at = 0; at < bytes.size();) {
            const auto size = 1 + below(random, bytes.size() - at);
            const std::vector<int> numbers(below(random, 3), descriptor.get());
            send_raw(pair.peer, std::string_view(bytes).substr(at, size), numbers);
            at += size;
        }
        pair.peer.reset();
        while (true) {
            const auto received = pair.connection.receive();
            if (!received || received->closed) break;
            for (const auto& message : received->messages) {
                ASSERT_TRUE(message.body.is_object());
                static_cast<void>(parse_call(message.body));
                static_cast<void>(error_from_json(message.body));
            }
        }
    }
    EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace vfb::proto::test
