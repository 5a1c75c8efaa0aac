// SPDX-License-Identifier: GPL-2.0-or-later
//
// Peers that break the protocol.
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "pair.hpp"

namespace vfb::proto::test {
namespace {

using std::string_literals::operator""s;

std::string repeat(std::string_view text, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) all += text;
    return all;
}

// Receives what `bytes` are until an error or the end; a writer thread, as they may be many.
Result<std::size_t> messages_in(const std::string& bytes, Limits limits = {}) {
    Pair pair(limits);
    std::jthread writer([socket = std::move(pair.peer), &bytes] {
        std::size_t sent = 0;
        while (sent < bytes.size()) {
            const auto count =
                ::send(socket.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
            if (count < 0) return;
            sent += static_cast<std::size_t>(count);
        }
    });
    std::size_t messages = 0;
    while (true) {
        auto received = pair.connection.receive();
        if (!received) {
            // The error stays, and the writer must not wait for ever.
            EXPECT_FALSE(pair.connection.receive());
            EXPECT_FALSE(pair.connection.send(Json::object()));
            std::move(pair.connection).take_socket().reset();
            return std::unexpected(received.error());
        }
        messages += received->messages.size();
        if (received->closed) return messages;
    }
}

struct Bad {
    const char* name;
    std::string bytes;
    const char* reason;
};

class BadInput : public ::testing::TestWithParam<Bad> {};

TEST_P(BadInput, BreaksTheConnection) {
    const auto result = messages_in(GetParam().bytes);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::protocol);
    EXPECT_EQ(result.error().message(), "cannot read a message: "s + GetParam().reason);
}

INSTANTIATE_TEST_SUITE_P(
    Limits, BadInput,
    ::testing::Values(Bad{"Empty", "\0"s, "it is not valid JSON"},
                      Bad{"Garbage", "hello\0"s, "it is not valid JSON"},
                      Bad{"Array", "[{}]\0"s, "it is not a JSON object"},
                      Bad{"Half", "{\"a\":1"s, "the peer hung up in the middle of it"},
                      Bad{"CutByNul", "{\"a\":\"x\0y\"}\0"s, "it is not valid JSON"},
                      Bad{"EscapedNul", "{\"a\":\"x\\u0000y\"}\0"s, "a string has a NUL in it"},
                      Bad{"EndsInEscape", "{\"a\":\"\\\0"s, "it is not valid JSON"},
                      Bad{"TwoObjects", "{}{}\0"s, "it is not valid JSON"},
                      Bad{"NotUtf8", "{\"a\":\"\xff\xfe\"}\0"s, "it is not valid JSON"},
                      Bad{"HugeNumber", "{\"a\":1e999}\0"s, "it is not valid JSON"},
                      Bad{"LoneSurrogate", "{\"a\":\"\\ud800\"}\0"s, "it is not valid JSON"},
                      Bad{"TenMegabytes", "{\"a\":\"" + std::string(10 << 20, 'x') + "\"}\0"s,
                          "it is longer than 1048576 bytes"},
                      Bad{"NoEnd", std::string(2 << 20, ' '), "it is longer than 1048576 bytes"},
                      Bad{"Deep", "{\"a\":" + std::string(500000, '[') + "\0"s,
                          "the JSON is nested too deeply"},
                      Bad{"DeepObjects", repeat("{\"a\":", 33) + "1" + std::string(33, '}') + "\0"s,
                          "the JSON is nested too deeply"},
                      Bad{"Members", "{\"a\":1" + repeat(",\"a\":1", 100000) + "}\0"s,
                          "a JSON object has too many members"}),
    [](const auto& param_info) { return std::string(param_info.param.name); });

TEST(Limits, WhatIsJustWithinThem) {
    EXPECT_TRUE(messages_in("{\"a\":" + std::string(31, '[') + std::string(31, ']') + "}\0"s));
    EXPECT_TRUE(messages_in("{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}\0"s));
    EXPECT_TRUE(messages_in("{\"a\":\"" + std::string((1 << 20) - 8, 'x') + "\"}\0"s));
    EXPECT_TRUE(messages_in("{\"a\":[0" + repeat(",0", 400000) + "]}\0"s));
    EXPECT_TRUE(messages_in("{\"a\":\"\\\\\\\"{\"}\0"s));
}

TEST(Limits, WhatCameWholeBeforeIsDelivered) {
    Pair pair;
    send_raw(pair.peer, "{\"n\":1}\0{\"n\":2}\0rubbish\0{\"n\":3}\0"s);
    const auto first = pair.connection.receive();
    ASSERT_TRUE(first);
    EXPECT_EQ(first->messages.size(), 2u);
    EXPECT_TRUE(first->more);
    EXPECT_FALSE(pair.connection.receive());
}

TEST(Limits, ManyMessagesAndLongOnes) {
    const auto many = messages_in(repeat("{}\0"s, 1 << 16));
    ASSERT_TRUE(many);
    EXPECT_EQ(*many, 1u << 16);
    const auto big =
        messages_in("{\"a\":\"" + std::string(4 << 20, 'x') + "\"}\0"s, {.message_bytes = 8 << 20});
    ASSERT_TRUE(big);
}

TEST(Limits, ABusyPeerIsLeftInTime) {
    Pair pair({.message_bytes = 128 << 10, .batch = 1 << 20});
    std::jthread writer([&pair](const std::stop_token& stop) {
        const std::string bytes = repeat("{}\0"s, 20000);
        while (!stop.stop_requested() &&
               ::send(pair.peer.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0) {
        }
    });
    std::size_t most = 0;
    for (int i = 0; i < 20; ++i) {
        const auto received = pair.connection.receive();
        ASSERT_TRUE(received);
        most = std::max(most, received->messages.size());
    }
    EXPECT_LE(most * 3, 256u << 10);
    writer.request_stop();
    std::move(pair.connection).take_socket().reset();
}

}  // namespace
}  // namespace vfb::proto::test
