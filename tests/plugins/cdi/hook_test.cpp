// SPDX-License-Identifier: GPL-2.0-or-later
#include "hook.hpp"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_broker.hpp"
#include "proto/json.hpp"

namespace vfb::cdi {
namespace {

using proto::Json;

const State kState{.id = "c1", .pid = 42, .bundle = "/b"};

TEST(Request, IsForTheContainersFirstProcess) {
    const Wanted wanted{
        .pool = "guests", .backend = "iommufd", .function = "0000:01:10.0", .nodes = {}};
    EXPECT_EQ(client::to_json(request_of(wanted, kState, {.pid = 42, .start_time = 7}, 4096)),
              Json::parse(R"({"pool": "guests", "functions": ["0000:01:10.0"], "guest": "c1",
                              "backend": "iommufd", "owner": "process", "handOff": "none",
                              "memoryLock": 4096, "process": {"pid": 42, "startTime": 7}})"));
}

TEST(Request, NamesNoFunctionWhenAnyWillDo) {
    const Wanted wanted{.pool = "guests", .backend = "group", .function = {}, .nodes = {}};
    const Json request = client::to_json(request_of(wanted, kState, {.pid = 42}, std::nullopt));
    EXPECT_FALSE(request.contains("functions"));
    EXPECT_FALSE(request.contains("memoryLock"));
}

TEST(Lease, NeedsAProcess) {
    const auto root = SysRoot::host();
    ASSERT_TRUE(root);
    const Wanted wanted{.pool = "guests", .backend = "group", .function = {}, .nodes = {}};
    const auto done = lease(*root, "/nowhere", wanted, {.id = "c1", .pid = 0, .bundle = "/b"});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Code::invalid);
}

Json lease_of(std::int64_t id, pid_t pid, const std::string& guest) {
    return {{"id", id},       {"uid", 0},
            {"pid", pid},     {"owner", "process"},
            {"guest", guest}, {"functions", {{{"address", "0000:01:10.0"}, {"generation", 1}}}}};
}

// A process that has ended, and whose number nobody else gets.
class Ended {
public:
    Ended() : pid_(::fork()) {
        if (pid_ == 0) ::_exit(0);
        siginfo_t info{};
        ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
    }
    Ended(const Ended&) = delete;
    Ended& operator=(const Ended&) = delete;
    ~Ended() { ::waitpid(pid_, nullptr, 0); }
    [[nodiscard]] pid_t pid() const { return pid_; }

private:
    pid_t pid_;
};

TEST(Release, EndsWhatHasNoProcessAnyMore) {
    const Ended ended;
    Json leases = {lease_of(1, ::getpid(), "c1"), lease_of(2, ended.pid(), "c1"),
                   lease_of(3, ended.pid(), "c2")};
    test::FakeBroker broker([&](const proto::Call& call) -> test::Answer {
        Json parameters = Json::object();
        if (call.method == "io.vfbroker.ListLeases") parameters["leases"] = leases;
        return {.body = proto::make_reply(std::move(parameters)), .descriptors = {}};
    });
    const auto root = SysRoot::host();
    ASSERT_TRUE(root);
    // Something else that is called as the container is: the first.
    const auto done = release(*root, broker.path(), kState);
    ASSERT_TRUE(done) << done.error().message();
    const auto calls = broker.calls();
    ASSERT_EQ(calls.size(), 2U);
    EXPECT_EQ(calls.back().method, "io.vfbroker.Release");
    EXPECT_EQ(calls.back().parameters.at("lease"), 2);
}

}  // namespace
}  // namespace vfb::cdi
