// SPDX-License-Identifier: GPL-2.0-or-later
#include "spec.hpp"

#include <gmock/gmock.h>

#include "proto/json.hpp"

namespace vfb::cdi {
namespace {

using proto::Json;

constexpr const char* kProgram = "/usr/libexec/vfbroker-cdi";

TEST(Spec, HasADeviceForEachFunctionAndAny) {
    const Pool pool{
        .name = "guests",
        .backend = "group",
        .devices = {{.address = "0000:01:10.0", .nodes = {"/dev/vfio/7", "/dev/vfio/vfio"}},
                    {.address = "0000:01:10.2", .nodes = {}}}};
    const Json spec = Json::parse(make_spec(pool, kProgram));
    EXPECT_EQ(spec, Json::parse(R"({
      "cdiVersion": "0.5.0", "kind": "vfbroker.io/guests", "devices": [
      {"name": "0000-01-10-0", "containerEdits": {
        "deviceNodes": [{"path": "/dev/vfio/7", "permissions": "rw"},
                        {"path": "/dev/vfio/vfio", "permissions": "rw"}],
        "hooks": [
          {"hookName": "createRuntime", "path": "/usr/libexec/vfbroker-cdi",
           "args": ["/usr/libexec/vfbroker-cdi", "lease", "--pool", "guests", "--backend", "group",
                    "--function", "0000:01:10.0", "--node", "/dev/vfio/7", "--node", "/dev/vfio/vfio"]},
          {"hookName": "poststop", "path": "/usr/libexec/vfbroker-cdi",
           "args": ["/usr/libexec/vfbroker-cdi", "release"]}]}},
      {"name": "0000-01-10-2", "containerEdits": {
        "hooks": [
          {"hookName": "createRuntime", "path": "/usr/libexec/vfbroker-cdi",
           "args": ["/usr/libexec/vfbroker-cdi", "lease", "--pool", "guests", "--backend", "group",
                    "--function", "0000:01:10.2"]},
          {"hookName": "poststop", "path": "/usr/libexec/vfbroker-cdi",
           "args": ["/usr/libexec/vfbroker-cdi", "release"]}]}},
      {"name": "any", "containerEdits": {
        "hooks": [
          {"hookName": "createRuntime", "path": "/usr/libexec/vfbroker-cdi",
           "args": ["/usr/libexec/vfbroker-cdi", "lease", "--pool", "guests", "--backend", "group"]},
          {"hookName": "poststop", "path": "/usr/libexec/vfbroker-cdi",
           "args": ["/usr/libexec/vfbroker-cdi", "release"]}]}}]})"))
        << spec.dump(1);
}

TEST(PoolName, HasToBeOneOfAClass) {
    EXPECT_TRUE(check_name("guests"));
    EXPECT_TRUE(check_name("g_2-x9"));
    for (const char* bad : {"", "9guests", "guests-", "guests_", "-guests", "a.b", "a/b"}) {
        const auto checked = check_name(bad);
        ASSERT_FALSE(checked) << bad;
        EXPECT_EQ(checked.error().code, Code::unsupported);
        EXPECT_FALSE(checked.error().hint.empty());
    }
}

TEST(FileName, TellsOursFromOthers) {
    EXPECT_EQ(file_name("guests"), "vfbroker-guests.json");
    EXPECT_TRUE(is_file_name("vfbroker-guests.json"));
    for (const char* other : {"vfbroker-.json", "vendor.json", "vfbroker-guests.yaml",
                              ".vfbroker-guests.json", "vfbroker-guests.json.bak"})
        EXPECT_FALSE(is_file_name(other)) << other;
}

}  // namespace
}  // namespace vfb::cdi
