// SPDX-License-Identifier: GPL-2.0-or-later
//
// WatchLeases: what the owner of a lease is told, and when.
#include "lease_watchers.hpp"

#include <gtest/gtest.h>

#include "event_loop.hpp"

namespace vfb::daemon {
namespace {

using proto::Json;

constexpr auto kConfig = R"(
[pf.uplink]
address = "0000:01:00.0"
vfs = 2
[pool.guests]
pf = "uplink"
allow_users = [1000, 1001]
)";

const broker::Caller kRoot{.uid = 0, .gids = {0}, .process = {.pid = 10, .start_time = 1}};
const broker::Caller kUser{.uid = 1000, .gids = {1000}, .process = {.pid = 11, .start_time = 2}};
const broker::Caller kOther{.uid = 1001, .gids = {1001}, .process = {.pid = 12, .start_time = 3}};

pci::Address vf(unsigned index) {
    return {.domain = 0, .bus = 1, .device = 16, .function = static_cast<std::uint8_t>(index)};
}

broker::SlotKey key(unsigned index) {
    return {"uplink", static_cast<std::uint16_t>(index)};
}

class LeaseWatchersTest : public testing::Test {
protected:
    LeaseWatchersTest() {
        broker.configure(*broker::parse_config(kConfig, "test.toml"));
        for (unsigned i = 0; i < 2; ++i) {
            broker.locate(key(i), vf(i), 20 + i, 0);
            EXPECT_TRUE(broker.mark_clean(key(i), broker.default_attributes(key(i))));
        }
        broker::LeaseRequest request;
        request.pool = "guests";
        request.count = 2;
        const auto choice = broker.choose(
            request, kUser,
            {.iommufd = true, .group = true, .iommufd_reason = {}, .group_reason = {}});
        lease = *broker.begin(*choice, kUser, 1);
    }

    Request request_of(const broker::Caller& caller, std::uint64_t session = 1) {
        Request request;
        request.session = session;
        request.caller = caller;
        request.reply = [this](const proto::Text& body, const std::vector<UniqueFd>&) {
            said.push_back(Json::parse(*body));
        };
        request.progress = [this](const proto::Text& body) {
            if (reads) {
                said.push_back(Json::parse(*body));
                if (stop_when_told) loop->stop(0);
                return true;
            }
            // It does now, and the server says so.
            reads = true;
            watchers.changed();
            return false;
        };
        return request;
    }
    void watch(const broker::Caller& caller = kUser, std::uint64_t generation = 1) {
        watchers.add(request_of(caller), {{.id = lease, .generation = generation, .ended = {}}});
    }
    // What is told of the lease when the loop has done what is due; null: nothing. A loop runs
    // once.
    Json told() {
        auto end = loop->defer([this] { loop->stop(0); });
        EXPECT_EQ(loop->run(), 0);
        return said_now();
    }
    Json said_now() {
        if (said.empty()) return {};
        EXPECT_EQ(said.size(), 1u);
        const Json last = said.back();
        said.clear();
        continues = last.value("continues", false);
        return last["parameters"]["leases"][0];
    }

    std::unique_ptr<EventLoop> loop = std::move(*EventLoop::create());
    broker::Broker broker =
        std::move(*broker::Broker::open(*broker::Store::open(":memory:"), 8ULL << 30));
    LeaseWatchers watchers{*loop, broker};
    broker::LeaseId lease = 0;
    std::vector<Json> said;
    bool continues = false;
    bool reads = true;  // the peer, what it is sent
    bool stop_when_told = false;
};

TEST_F(LeaseWatchersTest, TellsHowItStandsAtOnce) {
    watch();
    EXPECT_EQ(said_now().dump(), R"({"lease":1,"lost":[],"returnReason":null,"ended":null})");
    EXPECT_TRUE(continues);
    watchers.changed();
    EXPECT_TRUE(told().is_null());
}

TEST_F(LeaseWatchersTest, LostFunctions) {
    watch();
    said_now();
    ASSERT_TRUE(broker.lose(key(1), fail(Code::lost, "use it", {}, "it was removed").error()));
    watchers.changed();
    watchers.changed();
    EXPECT_EQ(told()["lost"].dump(), R"(["0000:01:10.1"])");
}

TEST_F(LeaseWatchersTest, AskedToBeReturnedWhileItIsDrained) {
    watch();
    said_now();
    const auto target = *broker.find_target("uplink");
    ASSERT_TRUE(broker.drain(target));
    watchers.changed();
    EXPECT_EQ(told()["returnReason"], "pf:uplink is drained");
    EXPECT_TRUE(continues);
}

TEST_F(LeaseWatchersTest, NotAskedAnyMoreWhenItIsResumed) {
    const auto target = *broker.find_target("guests");
    ASSERT_TRUE(broker.drain(target));
    watch();
    EXPECT_EQ(said_now()["returnReason"], "pool:guests is drained");
    ASSERT_TRUE(broker.resume(target));
    watchers.changed();
    EXPECT_TRUE(told()["returnReason"].is_null());
}

TEST_F(LeaseWatchersTest, AskedToBeReturnedWhileTheKernelWaits) {
    watch();
    said_now();
    watchers.leaving(vf(0));
    EXPECT_EQ(told()["returnReason"],
              "the kernel is taking 0000:01:10.0 away, and waits until it is closed");
}

TEST_F(LeaseWatchersTest, WhatTheKernelTookIsLostAndNotAskedFor) {
    watch();
    said_now();
    watchers.leaving(vf(0));
    ASSERT_TRUE(broker.lose(key(0), fail(Code::lost, "use it", {}, "it was removed").error()));
    watchers.changed();
    const auto state = told();
    EXPECT_TRUE(state["returnReason"].is_null());
    EXPECT_EQ(state["lost"].dump(), R"(["0000:01:10.0"])");
}

TEST_F(LeaseWatchersTest, TheEndIsTheLastReply) {
    watch();
    said_now();
    const auto ended = broker.end(lease);
    ASSERT_TRUE(ended);
    watchers.ended(*ended, "released by uid 0");
    EXPECT_EQ(told()["ended"], "released by uid 0");
    EXPECT_FALSE(continues);
}

TEST_F(LeaseWatchersTest, LeasesThatAreNotTheCallersHaveEnded) {
    for (const auto& [caller, generation] : {std::pair(kOther, 1U), std::pair(kUser, 2U)}) {
        watch(caller, generation);
        EXPECT_EQ(said_now()["ended"], "there is no such lease of yours");
        EXPECT_FALSE(continues);
    }
    watch(kRoot);
    EXPECT_TRUE(said_now()["ended"].is_null());
}

TEST_F(LeaseWatchersTest, OneThatDidNotReadIsToldWhenItDoes) {
    watch();
    said_now();
    reads = false;
    stop_when_told = true;
    watchers.leaving(vf(0));
    const auto deadline = loop->after(std::chrono::seconds(30), [this] { loop->stop(1); });
    EXPECT_EQ(loop->run(), 0);
    EXPECT_EQ(said_now()["returnReason"],
              "the kernel is taking 0000:01:10.0 away, and waits until it is closed");
}

TEST_F(LeaseWatchersTest, NobodyIsToldAfterHangingUp) {
    watch();
    said_now();
    watchers.leaving(vf(0));
    watchers.connection_closed(1);
    EXPECT_TRUE(told().is_null());
}

}  // namespace
}  // namespace vfb::daemon
