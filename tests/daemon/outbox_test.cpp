// SPDX-License-Identifier: GPL-2.0-or-later
#include "outbox.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>

namespace vfb::daemon {
namespace {

using proto::Json;

class OutboxTest : public testing::Test {
protected:
    void SetUp() override {
        std::array<int, 2> ends{};
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
        worker.emplace(UniqueFd(ends[0]), proto::Limits{.queued_bytes = 4096});
        daemon.emplace(UniqueFd(ends[1]));
    }
    static std::vector<UniqueFd> descriptors(std::size_t count) {
        std::vector<UniqueFd> fds;
        for (std::size_t i = 0; i < count; ++i)
            fds.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        return fds;
    }
    // What the daemon gets of all that was put.
    std::vector<proto::Message> sent() {
        EXPECT_TRUE(outbox.send_all(*worker));
        EXPECT_TRUE(worker->flush());
        auto received = daemon->receive();
        EXPECT_TRUE(received);
        return std::move(received->messages);
    }

    std::optional<proto::Connection> worker;
    std::optional<proto::Connection> daemon;
    Outbox outbox;
};

TEST_F(OutboxTest, AnswersArriveWithTheirDescriptors) {
    outbox.put({{"id", 1}, {"parameters", Json::object()}}, descriptors(253));
    const auto messages = sent();
    ASSERT_EQ(messages.size(), 1U);
    EXPECT_EQ(messages[0].descriptors.size(), 253U);
}

TEST_F(OutboxTest, WhatDoesNotFitIsAnErrorOfItsRequestAlone) {
    outbox.put({{"id", 1}, {"parameters", Json::object()}}, descriptors(254));
    outbox.put({{"id", 2}, {"parameters", {{"text", std::string(5000, 'x')}}}}, {});
    outbox.put({{"id", 3}, {"parameters", Json::object()}}, descriptors(1));
    const auto messages = sent();
    ASSERT_EQ(messages.size(), 3U);
    EXPECT_EQ(messages[0].body["id"], 1);
    EXPECT_TRUE(messages[0].descriptors.empty());
    const Error error = proto::error_from_json(messages[0].body["error"]);
    EXPECT_EQ(error.code, Code::invalid);
    EXPECT_EQ(error.message(),
              "cannot hand the result of an operation to vfbrokerd: it is too large: cannot send a "
              "message: 254 descriptors are more than fit");
    EXPECT_FALSE(error.hint.empty());
    EXPECT_EQ(messages[1].body["id"], 2);
    EXPECT_EQ(messages[1].body["error"]["code"], "exhausted");
    EXPECT_EQ(messages[2].body["id"], 3);
    EXPECT_EQ(messages[2].descriptors.size(), 1U);
}

TEST_F(OutboxTest, ADaemonThatIsGoneIsSaid) {
    daemon.reset();
    outbox.put(Json{{"id", 1}}, {});
    EXPECT_TRUE(outbox.send_all(*worker));
    EXPECT_EQ(worker->flush().error().code, Code::lost);
    outbox.put(Json{{"id", 2}}, {});
    EXPECT_EQ(outbox.send_all(*worker).error().code, Code::lost);
}

}  // namespace
}  // namespace vfb::daemon
