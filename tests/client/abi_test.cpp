// SPDX-License-Identifier: GPL-2.0-or-later
//
// The C ABI through the shared library.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vfbroker/vfbroker.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/process.hpp"
#include "lease_replies.hpp"

extern "C" vfb_lease_options initial_options_in_c(void);

namespace vfb {
namespace {

using test::Answer;
using test::FakeBroker;

Answer answer_all(const proto::Call& call) {
    if (call.method == "io.vfbroker.Lease" && call.parameters["pool"] == "netdev")
        return test::netdev_lease();
    if (call.method == "io.vfbroker.Lease")
        return call.parameters["pool"] == "group" ? test::group_lease() : test::iommufd_lease();
    return {.body = proto::make_reply(proto::Json::object()), .descriptors = {}};
}

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) >= 0;
}

class Abi : public ::testing::Test {
protected:
    explicit Abi(FakeBroker::Handler handler = answer_all) : broker(std::move(handler)) {
        EXPECT_EQ(vfb_connect(broker.path().c_str(), &connection, nullptr), VFB_OK);
    }
    ~Abi() override { vfb_close(connection); }

    vfb_lease_handle* lease(const char* pool, const vfb_lease_options* options = nullptr) {
        vfb_lease_handle* handle = nullptr;
        EXPECT_EQ(vfb_lease(connection, pool, options, &handle, nullptr), VFB_OK);
        return handle;
    }

    FakeBroker broker;
    vfb_connection* connection = nullptr;
};

TEST(AbiConnect, FailureIsSaid) {
    vfb_connection* connection = nullptr;
    vfb_error* error = nullptr;
    EXPECT_EQ(vfb_connect("/nowhere/socket", &connection, &error), VFB_NOT_RUNNING);
    ASSERT_NE(error, nullptr);
    EXPECT_EQ(vfb_error_code(error), VFB_NOT_RUNNING);
    EXPECT_STREQ(vfb_error_message(error),
                 "cannot reach vfbrokerd at /nowhere/socket: No such file or directory");
    EXPECT_STRNE(vfb_error_hint(error), "");
    vfb_error_free(error);
    EXPECT_EQ(vfb_connect("/nowhere/socket", &connection, nullptr), VFB_NOT_RUNNING);
    EXPECT_EQ(connection, nullptr);
    vfb_close(nullptr);
    vfb_error_free(nullptr);
    vfb_lease_free(nullptr);
}

TEST_F(Abi, Iommufd) {
    auto* handle = lease("net");
    EXPECT_EQ(vfb_lease_id(handle), 7u);
    EXPECT_EQ(vfb_lease_generation(handle), 3u);
    EXPECT_EQ(vfb_lease_backend(handle), VFB_BACKEND_IOMMUFD);
    ASSERT_EQ(vfb_lease_count(handle), 2u);
    EXPECT_STREQ(vfb_lease_address(handle, 1), "0000:01:10.2");
    EXPECT_EQ(vfb_lease_address(handle, 2), nullptr);
    EXPECT_EQ(vfb_lease_node(handle, 0), nullptr);
    EXPECT_EQ(vfb_lease_fds(handle, VFB_ROLE_IOMMUFD), 1u);
    EXPECT_EQ(vfb_lease_fds(handle, VFB_ROLE_CDEV), 2u);
    EXPECT_EQ(vfb_lease_fds(handle, VFB_ROLE_CONTAINER), 0u);
    EXPECT_EQ(vfb_lease_fds(handle, VFB_ROLE_DEVICE), 0u);
    EXPECT_TRUE(is_open(vfb_lease_fd(handle, VFB_ROLE_CDEV, 1)));
    EXPECT_EQ(vfb_lease_fd(handle, VFB_ROLE_CDEV, 2), -1);
    EXPECT_EQ(vfb_lease_fd(handle, VFB_ROLE_GROUP, 0), -1);
    vfb_lease_free(handle);
}

TEST_F(Abi, Group) {
    auto* handle = lease("group");
    EXPECT_EQ(vfb_lease_backend(handle), VFB_BACKEND_GROUP);
    for (const auto role : {VFB_ROLE_CONTAINER, VFB_ROLE_GROUP, VFB_ROLE_DEVICE}) {
        EXPECT_EQ(vfb_lease_fds(handle, role), 1u);
        EXPECT_TRUE(is_open(vfb_lease_fd(handle, role, 0)));
    }
    EXPECT_EQ(vfb_lease_fd(handle, VFB_ROLE_CDEV, 0), -1);
    vfb_lease_free(handle);
}

TEST_F(Abi, TakenDescriptorsOutliveTheHandleAndOthersDoNot) {
    auto* handle = lease("net");
    const int taken = vfb_lease_take_fd(handle, VFB_ROLE_CDEV, 0);
    const int left = vfb_lease_fd(handle, VFB_ROLE_CDEV, 1);
    EXPECT_EQ(vfb_lease_fd(handle, VFB_ROLE_CDEV, 0), -1);
    EXPECT_EQ(vfb_lease_take_fd(handle, VFB_ROLE_CDEV, 0), -1);
    EXPECT_EQ(vfb_lease_fds(handle, VFB_ROLE_CDEV), 1u);
    vfb_lease_free(handle);
    EXPECT_TRUE(is_open(taken));
    EXPECT_FALSE(is_open(left));
    ::close(taken);
}

TEST_F(Abi, OptionsReachTheBroker) {
    vfb_lease_options options = VFB_LEASE_OPTIONS_INIT;
    vfb_lease_free(lease("net", &options));
    EXPECT_EQ(broker.calls().back().parameters.dump(),
              R"({"pool":"net","owner":"connection","handOff":"descriptors"})");
    options.count = 1;
    options.backend = VFB_BACKEND_GROUP;
    options.owner = VFB_OWNER_PROCESS;
    options.mac = "02:00:00:00:00:01";
    options.vlan = 0;
    options.spoof_check = VFB_OFF;
    options.max_tx_rate = 1000;
    options.memory_lock = 1 << 30;
    options.wait_seconds = 3;
    options.guest = "web";
    vfb_lease_free(lease("net", &options));
    EXPECT_EQ(broker.calls().at(1).parameters.dump(),
              R"({"pool":"net","count":1,"guest":"web","attributes":{"mac":"02:00:00:00:00:01",)"
              R"("vlan":0,"spoofCheck":false,"maxTxRate":1000},"backend":"group",)"
              R"("owner":"connection","handOff":"descriptors","memoryLock":1073741824,)"
              R"("waitSeconds":3})");
}

TEST_F(Abi, FunctionsByAddressForAnotherProcessAsTenant) {
    const std::array<const char*, 3> functions{"0000:01:10.0", "0000:01:10.2", nullptr};
    const UniqueFd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
    const auto proc = Dir::open("/proc");
    const auto me = identify_process(*proc, ::getpid());
    vfb_lease_options options = VFB_LEASE_OPTIONS_INIT;
    options.functions = functions.data();
    options.pidfd = self.get();
    options.as_tenant = VFB_ON;
    options.hand_off = VFB_HAND_OFF_NONE;
    vfb_lease_free(lease("net", &options));
    EXPECT_EQ(broker.calls().back().parameters.dump(),
              fmt::format(R"({{"pool":"net","functions":["0000:01:10.0","0000:01:10.2"],)"
                          R"("owner":"connection","handOff":"none",)"
                          R"("process":{{"pid":{},"startTime":{}}},"asTenant":true}})",
                          me->pid, me->start_time));
    options.count = 2;
    vfb_lease_free(lease("net", &options));
    EXPECT_FALSE(broker.calls().back().parameters.contains("count"));
}

TEST_F(Abi, FunctionsAndProcessesThatAreNone) {
    const std::array<const char*, 2> functions{"0000:01:10.0", nullptr};
    vfb_lease_options options = VFB_LEASE_OPTIONS_INIT;
    options.functions = functions.data();
    options.count = 2;
    vfb_lease_handle* handle = nullptr;
    EXPECT_EQ(vfb_lease(connection, "net", &options, &handle, nullptr), VFB_INVALID);
    options.functions = functions.data() + 1;
    options.count = 0;
    EXPECT_EQ(vfb_lease(connection, "net", &options, &handle, nullptr), VFB_INVALID);
    options.functions = nullptr;
    options.pidfd = STDIN_FILENO;
    vfb_error* error = nullptr;
    EXPECT_EQ(vfb_lease(connection, "net", &options, &handle, &error), VFB_INVALID);
    EXPECT_STREQ(vfb_error_message(error),
                 "cannot identify the process of descriptor 0: it is no pidfd");
    vfb_error_free(error);
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    const UniqueFd ended(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
    EXPECT_EQ(::waitpid(child, nullptr, 0), child);
    options.pidfd = ended.get();
    EXPECT_EQ(vfb_lease(connection, "net", &options, &handle, nullptr), VFB_NOT_FOUND);
    EXPECT_TRUE(broker.calls().empty());
}

TEST_F(Abi, NetworkInterfaces) {
    vfb_lease_options options = VFB_LEASE_OPTIONS_INIT;
    options.hand_off = VFB_HAND_OFF_NETDEV;
    auto* handle = lease("netdev", &options);
    EXPECT_EQ(broker.calls().back().parameters["handOff"], "netdev");
    EXPECT_STREQ(vfb_lease_netdev(handle, 0), "enp1s0v0");
    EXPECT_EQ(vfb_lease_netdev(handle, 1), nullptr);
    EXPECT_EQ(vfb_lease_descriptors(handle), 0u);
    EXPECT_EQ(vfb_lease_descriptor(handle, 0, nullptr, nullptr), -1);
    vfb_lease_free(handle);
}

TEST_F(Abi, DescriptorsWithRolesAndFunctions) {
    std::string text;
    for (const char* pool : {"net", "group"}) {
        auto* handle = lease(pool);
        for (size_t i = 0; i < vfb_lease_descriptors(handle); ++i) {
            vfb_role role{};
            const char* address = nullptr;
            const int fd = vfb_lease_descriptor(handle, i, &role, &address);
            EXPECT_TRUE(is_open(fd));
            text += fmt::format("{} {}\n", vfb_role_name(role), address ? address : "-");
        }
        EXPECT_EQ(vfb_lease_descriptor(handle, 3, nullptr, nullptr), -1);
        // Taken: it keeps its number.
        const auto role =
            vfb_lease_backend(handle) == VFB_BACKEND_GROUP ? VFB_ROLE_CONTAINER : VFB_ROLE_IOMMUFD;
        ::close(vfb_lease_take_fd(handle, role, 0));
        EXPECT_EQ(vfb_lease_descriptor(handle, 0, nullptr, nullptr), -1);
        EXPECT_EQ(vfb_lease_descriptors(handle), 3u);
        vfb_lease_free(handle);
    }
    EXPECT_EQ(text,
              "iommufd -\ncdev 0000:01:10.0\ncdev 0000:01:10.2\n"
              "container -\ngroup -\ndevice 0000:01:10.0\n");
    EXPECT_EQ(vfb_role_name(static_cast<vfb_role>(7)), nullptr);
}

TEST_F(Abi, TransferAndKeep) {
    auto* handle = lease("net");
    EXPECT_EQ(vfb_lease_transfer(connection, handle, -1, nullptr), VFB_OK);
    EXPECT_EQ(broker.calls().back().method, "io.vfbroker.Transfer");
    EXPECT_EQ(broker.calls().back().parameters.dump(), R"({"lease":7})");
    const UniqueFd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
    EXPECT_EQ(vfb_lease_transfer(connection, handle, self.get(), nullptr), VFB_OK);
    EXPECT_EQ(broker.calls().back().parameters["process"]["pid"], ::getpid());
    EXPECT_EQ(vfb_lease_transfer(connection, handle, STDIN_FILENO, nullptr), VFB_INVALID);
    EXPECT_EQ(vfb_lease_keep(connection, handle, nullptr), VFB_OK);
    EXPECT_EQ(broker.calls().back().method, "io.vfbroker.Keep");
    EXPECT_EQ(broker.calls().back().parameters.dump(), R"({"lease":7})");
    vfb_lease_free(handle);
}

// What a program has that was built before the list of functions and what follows it.
TEST_F(Abi, OptionsOfTheFirstVersion) {
    vfb_lease_options older = VFB_LEASE_OPTIONS_INIT;
    older.size = offsetof(vfb_lease_options, functions);
    older.vlan = 7;
    std::memset(&older.functions, 0xff, sizeof older - older.size);
    vfb_lease_free(lease("net", &older));
    EXPECT_EQ(broker.calls().back().parameters.dump(),
              R"({"pool":"net","attributes":{"vlan":7},"owner":"connection",)"
              R"("handOff":"descriptors"})");
}

TEST_F(Abi, OptionsOfOtherVersions) {
    struct {
        vfb_lease_options known = VFB_LEASE_OPTIONS_INIT;
        int unknown = 1;
    } newer;
    newer.known.size = sizeof newer;
    vfb_lease_handle* handle = nullptr;
    EXPECT_EQ(vfb_lease(connection, "net", &newer.known, &handle, nullptr), VFB_UNSUPPORTED);
    vfb_lease_options older = VFB_LEASE_OPTIONS_INIT;
    older.size = offsetof(vfb_lease_options, vlan);
    older.vlan = 7;  // beyond its size: not seen
    vfb_lease_free(lease("net", &older));
    EXPECT_FALSE(broker.calls().back().parameters.contains("attributes"));
    older.size = 0;
    EXPECT_EQ(vfb_lease(connection, "net", &older, &handle, nullptr), VFB_INVALID);
    EXPECT_EQ(vfb_lease(connection, nullptr, nullptr, &handle, nullptr), VFB_INVALID);
}

TEST_F(Abi, TheHeaderSaysTheSameInC) {
    const vfb_lease_options here = VFB_LEASE_OPTIONS_INIT;
    const vfb_lease_options in_c = initial_options_in_c();
    EXPECT_EQ(in_c.size, here.size);
    EXPECT_EQ(in_c.max_tx_rate, -1);
    EXPECT_EQ(in_c.trust, VFB_UNSET);
}

TEST_F(Abi, ReleaseClosesFirstAndNamesTheGeneration) {
    auto* handle = lease("net");
    const int fd = vfb_lease_fd(handle, VFB_ROLE_CDEV, 0);
    EXPECT_EQ(vfb_release(connection, handle, nullptr), VFB_OK);
    EXPECT_FALSE(is_open(fd));
    EXPECT_EQ(broker.calls().back().parameters.dump(), R"({"lease":7,"generation":3})");
    EXPECT_EQ(vfb_release_id(connection, 7, 3, nullptr), VFB_OK);
    EXPECT_EQ(broker.calls().back().parameters.dump(), R"({"lease":7,"generation":3})");
    EXPECT_EQ(vfb_release_id(connection, UINT64_MAX, 3, nullptr), VFB_NOT_FOUND);
}

class AbiRefused : public Abi {
protected:
    AbiRefused()
        : Abi([this](const proto::Call& call) {
              return refuse ? test::refusal() : answer_all(call);
          }) {}
    std::atomic<bool> refuse = true;
};

TEST_F(AbiRefused, RefusalsComeUnchanged) {
    vfb_lease_handle* handle = nullptr;
    vfb_error* error = nullptr;
    EXPECT_EQ(vfb_lease(connection, "net", nullptr, &handle, &error), VFB_BUSY);
    EXPECT_EQ(handle, nullptr);
    EXPECT_STREQ(vfb_error_message(error), "cannot lease from net: all 7 functions are leased");
    EXPECT_STREQ(vfb_error_hint(error), "vfbroker leases");
    vfb_error_free(error);
}

TEST_F(AbiRefused, AFailedReleaseKeepsTheHandle) {
    refuse = false;
    auto* handle = lease("net");
    refuse = true;
    EXPECT_EQ(vfb_release(connection, handle, nullptr), VFB_BUSY);
    EXPECT_EQ(vfb_lease_id(handle), 7u);
    refuse = false;
    EXPECT_EQ(vfb_release(connection, handle, nullptr), VFB_OK);
}

}  // namespace
}  // namespace vfb
