// SPDX-License-Identifier: GPL-2.0-or-later
//
// ListLeases as values, and leases of functions that are being cleaned.
#include "client/lease_list.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/lease_when_clean.hpp"
#include "fake_broker.hpp"
#include "lease_replies.hpp"

namespace vfb::client {
namespace {

using namespace std::chrono_literals;
using proto::Json;
using test::Answer;
using test::FakeBroker;
using testing::HasSubstr;

Json one_lease() {
    return {{"id", 3},
            {"uid", 0},
            {"pid", 77},
            {"owner", "process"},
            {"guest", nullptr},
            {"functions",
             {{{"address", "0000:01:10.0"}, {"generation", 9}, {"lost", true}},
              {{"address", "0000:01:10.2"}, {"generation", 1}}}}};
}

TEST(LeaseList, ReadFromTheWire) {
    const auto leases = read_leases({{"leases", {one_lease()}}});
    ASSERT_TRUE(leases) << leases.error().message();
    ASSERT_EQ(leases->size(), 1U);
    const LeaseSummary& lease = leases->front();
    EXPECT_EQ(std::tuple(lease.id, lease.uid, lease.pid, lease.owner, lease.guest),
              std::tuple(3, 0, 77, "process", ""));
    EXPECT_EQ(lease.functions.front().generation, 9);
    EXPECT_TRUE(lease.functions.front().lost);
    EXPECT_FALSE(lease.functions.back().lost);
    EXPECT_TRUE(lease.holds("0000:01:10.2"));
    EXPECT_FALSE(lease.holds("0000:01:10.4"));
}

TEST(LeaseList, WhatIsNoneIsRefused) {
    EXPECT_EQ(read_leases({{"leases", 5}}).error().code, Code::protocol);
    EXPECT_EQ(read_leases(Json::object()).error().code, Code::protocol);
    for (const auto* const name : {"id", "uid", "pid", "owner", "functions"}) {
        Json lease = one_lease();
        lease[name] = Json::object();
        const auto refused = read_leases({{"leases", {lease}}});
        ASSERT_FALSE(refused) << name;
        EXPECT_EQ(refused.error().code, Code::protocol);
        EXPECT_THAT(refused.error().message(), HasSubstr(name));
    }
    for (const Json& functions : {Json::array(), Json::array({5}), Json::array({Json::object()})}) {
        Json lease = one_lease();
        lease["functions"] = functions;
        EXPECT_EQ(read_leases({{"leases", {lease}}}).error().code, Code::protocol) << functions;
    }
}

Answer refusal(Code code) {
    const Error error = fail(code, "release lease 3", "3", "so it is").error();
    return {.body = proto::make_error(proto::kFailed, proto::to_json(error)), .descriptors = {}};
}

TEST(LeaseList, WhatHasEndedNeedNoEnd) {
    for (const auto& [code, ends] : {std::pair(Code::not_found, true), {Code::busy, false}}) {
        FakeBroker broker([answer = code](const proto::Call&) { return refusal(answer); });
        auto client = Client::connect(broker.path());
        ASSERT_TRUE(client);
        const auto leases = read_leases({{"leases", {one_lease()}}});
        EXPECT_EQ(end(*client, leases->front()).has_value(), ends);
        EXPECT_EQ(broker.calls().front().parameters, Json({{"lease", 3}, {"generation", 9}}));
    }
}

// Refuses the first Lease; its functions are in `state`.
std::vector<proto::Call> calls_when(const std::string& state, const LeaseRequest& request,
                                    Result<Lease>& lease) {
    int asked = 0;
    FakeBroker broker([&](const proto::Call& call) -> Answer {
        if (call.method == "io.vfbroker.List")
            return {.body = proto::make_reply(
                        {{"functions",
                          {{{"address", "0000:01:10.0"}, {"pool", "net"}, {"state", state}},
                           {{"address", "0000:01:10.2"}, {"pool", "other"}, {"state", "dirty"}}}}}),
                    .descriptors = {}};
        return asked++ == 0 ? refusal(Code::busy) : test::iommufd_lease();
    });
    auto client = Client::connect(broker.path());
    lease = lease_when_clean(*client, request, 60s, 5s);
    return broker.calls();
}

TEST(LeaseWhenClean, AsksOnceMoreForWhatIsCleanAndRefused) {
    FakeBroker broker([](const proto::Call& call) -> Answer {
        if (call.method != "io.vfbroker.List") return refusal(Code::busy);
        return {.body = proto::make_reply(
                    {{"functions",
                      {{{"address", "0000:01:10.0"}, {"pool", "net"}, {"state", "clean"}}}}}),
                .descriptors = {}};
    });
    auto client = Client::connect(broker.path());
    ASSERT_TRUE(client);
    LeaseRequest request;
    request.pool = "net";
    const auto lease = lease_when_clean(*client, request, 60s, 5s);
    ASSERT_FALSE(lease);
    EXPECT_EQ(lease.error().code, Code::busy);
    EXPECT_EQ(broker.calls().size(), 3U);
}

TEST(LeaseWhenClean, WaitsForWhatIsBeingCleanedAndForNothingElse) {
    LeaseRequest any;
    any.pool = "net";
    LeaseRequest named = any;
    named.functions = {"0000:01:10.0"};
    for (const LeaseRequest& request : {any, named}) {
        Result<Lease> lease = fail(Code::failed, {}, {}, {});
        auto calls = calls_when("preparing", request, lease);
        EXPECT_TRUE(lease);
        ASSERT_EQ(calls.size(), 3U);
        EXPECT_FALSE(calls.front().parameters.contains("waitSeconds"));
        EXPECT_EQ(calls.back().parameters.at("waitSeconds"), 60);
        // Its scrub ended after the refusal.
        calls = calls_when("clean", request, lease);
        EXPECT_TRUE(lease);
        ASSERT_EQ(calls.size(), 3U);
        EXPECT_EQ(calls.back().parameters.at("waitSeconds"), 1);
        calls = calls_when("leased", request, lease);
        EXPECT_EQ(calls.size(), 2U);
        ASSERT_FALSE(lease);
        EXPECT_EQ(lease.error().code, Code::busy);
    }
}

}  // namespace
}  // namespace vfb::client
