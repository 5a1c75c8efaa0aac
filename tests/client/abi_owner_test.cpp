// SPDX-License-Identifier: GPL-2.0-or-later
//
// Leases of processes and guests through the shared library: none is left whose handle nobody got.
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <vfbroker/vfbroker.h>

#include <atomic>
#include <string>

#include "lease_events.hpp"
#include "lease_replies.hpp"

namespace vfb {
namespace {

using test::Answer;
using test::FakeBroker;
using test::readable;
using ::testing::ElementsAre;

constexpr auto kLease = R"(Lease {"pool":"net","owner":"connection","handOff":"descriptors"})";
constexpr auto kLeaseOfWeb =
    R"(Lease {"pool":"net","guest":"web","owner":"connection","handOff":"descriptors"})";
constexpr auto kTransfer = R"(Transfer {"lease":7})";
constexpr auto kRelease = R"(Release {"lease":7,"generation":3})";

// No more files for this process while it lives: those below the limit are taken, and poll(2) wants
// it to be no less than what is polled.
class NoMoreFiles {
public:
    NoMoreFiles() {
        EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
        const rlimit none{.rlim_cur = 3, .rlim_max = before_.rlim_max};
        EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    }
    ~NoMoreFiles() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    NoMoreFiles(const NoMoreFiles&) = delete;
    NoMoreFiles& operator=(const NoMoreFiles&) = delete;

private:
    rlimit before_{};
};

class Owners : public ::testing::Test {
protected:
    Owners() {
        options.owner = VFB_OWNER_PROCESS;
        EXPECT_EQ(vfb_connect(broker.path().c_str(), &connection, nullptr), VFB_OK);
    }
    void TearDown() override {
        vfb_lease_free(lease);
        vfb_close(connection);
    }
    Answer answer(const proto::Call& call) {
        if (call.method == "io.vfbroker.Lease") {
            auto granted = test::iommufd_lease();
            if (crowded) full.emplace();
            return granted;
        }
        if (call.method == "io.vfbroker.Release")
            return {.body = proto::make_reply(proto::Json::object()), .descriptors = {}};
        if (refuses) return test::refusal();
        if (waits) return {.body = {}, .descriptors = {}};
        return {.body = proto::make_reply(proto::Json::object()), .descriptors = {}};
    }
    // What was called, once all connections are closed.
    std::vector<std::string> calls() {
        vfb_close(connection);
        connection = nullptr;
        EXPECT_EQ(broker.connections(0), 0u);
        std::vector<std::string> list;
        for (const auto& call : broker.calls())
            list.push_back(call.method.substr(call.method.rfind('.') + 1) + " " +
                           call.parameters.dump());
        return list;
    }
    void start() {
        ASSERT_EQ(vfb_lease_start(connection, "net", &options, nullptr), VFB_OK);
        ASSERT_TRUE(readable(vfb_poll_fd(connection)));
    }
    vfb_code result(vfb_error** error = nullptr) {
        for (;;) {
            const auto code = vfb_lease_result(connection, &lease, error);
            if (code != VFB_PENDING || !readable(vfb_poll_fd(connection))) return code;
            EXPECT_EQ(vfb_dispatch(connection, nullptr), VFB_OK);
        }
    }

    std::atomic<bool> refuses = false;  // what gives the lease to its owner
    std::atomic<bool> waits = false;    // the same is not answered
    std::atomic<bool> crowded = false;
    std::optional<NoMoreFiles> full;
    FakeBroker broker{[this](const proto::Call& call) { return answer(call); }};
    vfb_lease_options options = VFB_LEASE_OPTIONS_INIT;
    vfb_connection* connection = nullptr;
    vfb_lease_handle* lease = nullptr;
};

TEST_F(Owners, ALeaseBecomesTheProcesssWhenItHasArrived) {
    ASSERT_EQ(vfb_lease(connection, "net", &options, &lease, nullptr), VFB_OK);
    EXPECT_EQ(vfb_lease_id(lease), 7u);
    EXPECT_THAT(calls(), ElementsAre(kLease, kTransfer));
}

TEST_F(Owners, ANamedGuestsIsKept) {
    options.owner = VFB_OWNER_GUEST;
    options.guest = "web";
    ASSERT_EQ(vfb_lease(connection, "net", &options, &lease, nullptr), VFB_OK);
    EXPECT_THAT(calls(), ElementsAre(kLeaseOfWeb, R"(Keep {"lease":7})"));
}

TEST_F(Owners, AGuestsWithoutANameIsKept) {
    options.owner = VFB_OWNER_GUEST;
    ASSERT_EQ(vfb_lease(connection, "net", &options, &lease, nullptr), VFB_OK);
    EXPECT_THAT(calls(), ElementsAre(kLease, R"(Keep {"lease":7})"));
}

TEST_F(Owners, OneThatCannotBecomeItIsEnded) {
    refuses = true;
    EXPECT_EQ(vfb_lease(connection, "net", &options, &lease, nullptr), VFB_BUSY);
    EXPECT_EQ(lease, nullptr);
    EXPECT_THAT(calls(), ElementsAre(kLease, kTransfer, kRelease));
}

TEST_F(Owners, AProcessThatCanOpenNoMoreFilesIsLeftNothing) {
    crowded = true;
    EXPECT_EQ(vfb_lease(connection, "net", &options, &lease, nullptr), VFB_PROTOCOL);
    EXPECT_EQ(broker.connections(0), 0u) << "the connection has ended, and the lease with it";
    full.reset();
    EXPECT_THAT(calls(), ElementsAre(kLease));
}

TEST_F(Owners, WithoutBlockingItIsPendingUntilItIsTheProcesss) {
    waits = true;
    start();
    EXPECT_EQ(vfb_lease_result(connection, &lease, nullptr), VFB_PENDING);
    ASSERT_EQ(vfb_dispatch(connection, nullptr), VFB_OK);
    broker.wait_for_calls(2);
    EXPECT_EQ(vfb_lease_result(connection, &lease, nullptr), VFB_PENDING);
    EXPECT_EQ(vfb_lease_start(connection, "net", &options, nullptr), VFB_BUSY);
    broker.say("io.vfbroker.Transfer", proto::make_reply(proto::Json::object()));
    ASSERT_EQ(result(), VFB_OK);
    EXPECT_GE(vfb_lease_fd(lease, VFB_ROLE_CDEV, 1), 0);
    EXPECT_THAT(calls(), ElementsAre(kLease, kTransfer));
}

TEST_F(Owners, WithoutBlockingOneThatCannotBecomeItIsEnded) {
    refuses = true;
    start();
    vfb_error* error = nullptr;
    EXPECT_EQ(result(&error), VFB_BUSY);
    EXPECT_STREQ(vfb_error_message(error), "cannot lease from net: all 7 functions are leased");
    vfb_error_free(error);
    refuses = false;
    start();
    EXPECT_EQ(result(), VFB_OK);
    EXPECT_THAT(calls(), ElementsAre(kLease, kTransfer, kRelease, kLease, kTransfer));
}

TEST_F(Owners, WhoGivesUpBeforeTheAnswerIsReadIsLeftNothing) {
    start();
    EXPECT_THAT(calls(), ElementsAre(kLease)) << "the connection's, with which it ends";
}

TEST_F(Owners, WhoGivesUpLaterIsLeftNothingEither) {
    start();
    ASSERT_EQ(vfb_dispatch(connection, nullptr), VFB_OK);
    EXPECT_THAT(calls(), ElementsAre(kLease, kTransfer, kRelease));
}

TEST_F(Owners, WhoDoesNotFetchTheResultIsLeftNothingEither) {
    start();
    ASSERT_EQ(vfb_dispatch(connection, nullptr), VFB_OK);
    ASSERT_TRUE(readable(vfb_poll_fd(connection)));
    ASSERT_EQ(vfb_dispatch(connection, nullptr), VFB_OK);
    EXPECT_THAT(calls(), ElementsAre(kLease, kTransfer, kRelease));
}

}  // namespace
}  // namespace vfb
