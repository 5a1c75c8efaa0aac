// SPDX-License-Identifier: GPL-2.0-or-later
#include "hook.hpp"

#include <gmock/gmock.h>

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

}  // namespace
}  // namespace vfb::cdi
