// SPDX-License-Identifier: GPL-2.0-or-later
//
// Framing: messages in any pieces, in order, both ways.
#include <gmock/gmock.h>
#include <poll.h>

#include <string>

#include "pair.hpp"

namespace vfb::proto::test {
namespace {

using std::string_literals::operator""s;

TEST(Connection, NothingThereIsNoError) {
    Pair pair;
    const auto received = pair.connection.receive();
    ASSERT_TRUE(received);
    EXPECT_TRUE(received->messages.empty());
    EXPECT_FALSE(received->closed);
    EXPECT_FALSE(received->more);
}

TEST(Connection, SeveralMessagesInOneRead) {
    Pair pair;
    send_raw(pair.peer, "{\"a\":1}\0{\"a\":2}\0{\"a\":"s);
    auto messages = receive_all(pair.connection);
    ASSERT_EQ(messages.size(), 2u);
    EXPECT_EQ(messages[1].body["a"], 2);
    send_raw(pair.peer, "3}\0"s);
    messages = receive_all(pair.connection);
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].body["a"], 3);
}

TEST(Connection, ByteByByte) {
    Pair pair;
    const std::string bytes = "{\"text\":\"h\xc3\xa9\"}\0"s;
    for (const char byte : bytes.substr(0, bytes.size() - 1)) {
        send_raw(pair.peer, std::string(1, byte));
        EXPECT_TRUE(receive_all(pair.connection).empty());
    }
    send_raw(pair.peer, "\0"s);
    const auto messages = receive_all(pair.connection);
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].body["text"], "h\xc3\xa9");
}

TEST(Connection, TellsThatThePeerHungUpAfterItsLastMessage) {
    Pair pair;
    send_raw(pair.peer, "{}\0"s);
    pair.peer.reset();
    const auto received = pair.connection.receive();
    ASSERT_TRUE(received);
    EXPECT_EQ(received->messages.size(), 1u);
    EXPECT_TRUE(received->closed);
}

TEST(Connection, ReturnsABatchAndSaysThatThereIsMore) {
    Pair pair({.batch = 4});
    std::string bytes;
    for (int i = 0; i < 10; ++i) bytes += "{}\0"s;
    send_raw(pair.peer, bytes);
    for (const std::size_t expected : {4u, 4u, 2u}) {
        const auto received = pair.connection.receive();
        ASSERT_TRUE(received);
        EXPECT_EQ(received->messages.size(), expected);
        EXPECT_EQ(received->more, expected == 4);
    }
}

TEST(Connection, SendsMoreThanTheSocketTakesAtOnce) {
    Pair pair;
    Connection peer(std::move(pair.peer), {.message_bytes = 16 << 20});
    const Json body = {{"text", std::string(3 << 20, 'x')}};
    ASSERT_TRUE(pair.connection.send(body));
    std::vector<Message> messages;
    bool sent = false;
    int rounds = 0;
    while (messages.empty()) {
        const auto flushed = pair.connection.flush();
        ASSERT_TRUE(flushed);
        sent = *flushed;
        EXPECT_EQ(pair.connection.wants_write(), !sent);
        messages = receive_all(peer);
        ++rounds;
    }
    EXPECT_TRUE(sent);
    EXPECT_GT(rounds, 1);
    EXPECT_EQ(messages[0].body, body);
}

TEST(Connection, BytesThatAreNotUtf8AreReplacedOnTheWayOut) {
    Pair pair;
    Connection peer(std::move(pair.peer));
    ASSERT_TRUE(pair.connection.send({{"name", "eth\xff"}}));
    ASSERT_TRUE(pair.connection.flush());
    const auto messages = receive_all(peer);
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].body["name"], "eth\xef\xbf\xbd");
}

TEST(Connection, SendingToAPeerThatIsGoneIsLost) {
    Pair pair;
    pair.peer.reset();
    ASSERT_TRUE(pair.connection.send(Json::object()));
    const auto flushed = pair.connection.flush();
    ASSERT_FALSE(flushed);
    EXPECT_EQ(flushed.error().code, Code::lost);
    EXPECT_FALSE(pair.connection.wants_write());
}

TEST(Connection, WhatThePeerSaidBeforeItHungUpIsRead) {
    Pair pair;
    Connection peer(std::move(pair.peer));
    ASSERT_TRUE(peer.send({{"why", "too many"}}));
    ASSERT_TRUE(peer.flush());
    peer = Connection(UniqueFd());
    ASSERT_TRUE(pair.connection.send(Json::object()));
    EXPECT_EQ(pair.connection.flush().error().code, Code::lost);
    const auto received = pair.connection.receive();
    ASSERT_TRUE(received);
    ASSERT_EQ(received->messages.size(), 1u);
    EXPECT_EQ(received->messages[0].body["why"], "too many");
    EXPECT_TRUE(received->closed);
}

TEST(Connection, APeerThatDoesNotReadIsNotServedForEver) {
    Pair pair({.queued_bytes = 1000});
    ASSERT_TRUE(pair.connection.send({{"text", std::string(600, 'x')}}));
    const auto sent = pair.connection.send({{"text", std::string(600, 'x')}});
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, Code::exhausted);
    // What was queued is unharmed.
    EXPECT_THAT(pair.connection.flush(), ::testing::Optional(true));
}

}  // namespace
}  // namespace vfb::proto::test
