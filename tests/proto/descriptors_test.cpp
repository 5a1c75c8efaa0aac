// SPDX-License-Identifier: GPL-2.0-or-later
//
// Descriptors: with the message they were sent with, never leaked, never inherited.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "pair.hpp"

namespace vfb::proto::test {
namespace {

using std::string_literals::operator""s;

std::vector<UniqueFd> descriptors(std::size_t count) {
    std::vector<UniqueFd> all;
    for (std::size_t i = 0; i < count; ++i) all.push_back(some_descriptor());
    return all;
}

ino_t inode(const UniqueFd& fd) {
    struct stat status{};
    EXPECT_EQ(::fstat(fd.get(), &status), 0);
    return status.st_ino;
}

TEST(Descriptors, ArriveWithTheirMessageAndCloseOnExec) {
    const auto before = open_descriptors();
    {
        Pair pair;
        Connection peer(std::move(pair.peer));
        auto mine = descriptors(2);
        const auto first = inode(mine[0]);
        ASSERT_TRUE(pair.connection.send({{"n", 1}}));
        ASSERT_TRUE(pair.connection.send({{"n", 2}}, std::move(mine)));
        ASSERT_TRUE(pair.connection.send({{"n", 3}}));
        ASSERT_TRUE(pair.connection.send({{"n", 4}}, descriptors(1)));
        ASSERT_TRUE(pair.connection.flush());
        const auto messages = receive_all(peer);
        ASSERT_EQ(messages.size(), 4u);
        EXPECT_EQ(messages[0].descriptors.size(), 0u);
        ASSERT_EQ(messages[1].descriptors.size(), 2u);
        EXPECT_EQ(messages[2].descriptors.size(), 0u);
        EXPECT_EQ(messages[3].descriptors.size(), 1u);
        EXPECT_EQ(inode(messages[1].descriptors[0]), first);
        EXPECT_EQ(::fcntl(messages[1].descriptors[0].get(), F_GETFD), FD_CLOEXEC);
    }
    EXPECT_EQ(open_descriptors(), before);
}

TEST(Descriptors, AreClosedHereOnceSent) {
    Pair pair;
    const auto before = open_descriptors();
    ASSERT_TRUE(pair.connection.send(Json::object(), descriptors(3)));
    EXPECT_EQ(open_descriptors(), before + 3);
    ASSERT_TRUE(pair.connection.flush());
    EXPECT_EQ(open_descriptors(), before);
}

TEST(Descriptors, AsManyAsTheKernelTakes) {
    Pair pair;
    Connection peer(std::move(pair.peer));
    const auto one = some_descriptor();
    std::vector<UniqueFd> many;
    for (int i = 0; i < 253; ++i) many.emplace_back(::dup(one.get()));
    ASSERT_TRUE(pair.connection.send(Json::object(), std::move(many)));
    ASSERT_TRUE(pair.connection.flush());
    const auto messages = receive_all(peer);
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].descriptors.size(), 253u);
}

TEST(Descriptors, MoreThanTheKernelTakesAreRefusedBeforeSending) {
    Pair pair;
    const auto before = open_descriptors();
    const auto sent = pair.connection.send(Json::object(), descriptors(300));
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, Code::invalid);
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_FALSE(pair.connection.wants_write());
}

TEST(Descriptors, AreClosedWhenTheirMessageIsBad) {
    const auto before = open_descriptors();
    {
        Pair pair;
        const auto fd = some_descriptor();
        const int number = fd.get();
        send_raw(pair.peer, "[]\0"s, std::span(&number, 1));
        const auto mine = open_descriptors();
        const auto received = pair.connection.receive();
        ASSERT_FALSE(received);
        EXPECT_EQ(received.error().code, Code::protocol);
        EXPECT_EQ(open_descriptors(), mine);
    }
    EXPECT_EQ(open_descriptors(), before);
}

TEST(Descriptors, WhereNoneAreTakenNoneAreOpened) {
    Pair pair({.accept_descriptors = false});
    const auto fd = some_descriptor();
    const int number = fd.get();
    const auto before = open_descriptors();
    send_raw(pair.peer, "{}\0"s, std::span(&number, 1));
    const auto received = pair.connection.receive();
    ASSERT_FALSE(received);
    EXPECT_EQ(received.error().code, Code::protocol);
    EXPECT_EQ(open_descriptors(), before);
}

TEST(Descriptors, InTheMiddleOfAMessageBreakTheProtocol) {
    Pair pair;
    const auto fd = some_descriptor();
    const int number = fd.get();
    const auto before = open_descriptors();
    send_raw(pair.peer, "{\"a\":"s);
    EXPECT_TRUE(receive_all(pair.connection).empty());
    send_raw(pair.peer, "1}\0"s, std::span(&number, 1));
    const auto received = pair.connection.receive();
    ASSERT_FALSE(received);
    EXPECT_EQ(received.error().code, Code::protocol);
    EXPECT_EQ(open_descriptors(), before);
}

TEST(Descriptors, MoreThanTheLimitBreakTheProtocol) {
    Pair pair({.descriptors = 2});
    const auto fd = some_descriptor();
    const std::vector<int> numbers(3, fd.get());
    const auto before = open_descriptors();
    send_raw(pair.peer, "{}\0"s, numbers);
    const auto received = pair.connection.receive();
    ASSERT_FALSE(received);
    EXPECT_EQ(received.error().code, Code::protocol);
    EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace vfb::proto::test
