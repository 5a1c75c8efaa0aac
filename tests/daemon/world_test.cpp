// SPDX-License-Identifier: GPL-2.0-or-later
//
// The functions of the machine stay true whatever order the worker's answers come in, and whatever
// it fails to answer. The worker process that is started here hands its end of the socket to the
// test, which answers in its place.
#include "world.hpp"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <thread>

#include "proto/connection.hpp"
#include "tree/host.hpp"
#include "wire.hpp"
#include "worker_operations.hpp"

namespace vfb::daemon {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

constexpr int kWorkerSocket = 3;

sockaddr_un socket_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), std::min(path.size() + 1, sizeof address.sun_path));
    return address;
}

// What the program does when it is started as a worker.
int hand_over_worker(const std::string& path) {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto address = socket_address(path);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return 1;
    proto::Connection connection(std::move(socket));
    std::vector<UniqueFd> descriptors;
    descriptors.emplace_back(kWorkerSocket);
    return connection.send({{"worker", true}}, std::move(descriptors)) && connection.flush() ? 0
                                                                                             : 1;
}

pci::Address at(std::uint8_t bus) {
    return {.domain = 0, .bus = bus, .device = 0, .function = 0};
}

proto::Json function(std::uint8_t bus, const char* driver) {
    pci::Function function{.address = at(bus)};
    if (driver != nullptr) function.driver = driver;
    return to_json(function);
}

// The worker's end: waits for requests and answers them, on a thread of its own.
class FakeWorker {
public:
    explicit FakeWorker(const std::string& path)
        : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const auto address = socket_address(path);
        EXPECT_EQ(
            ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
            0);
        EXPECT_EQ(::listen(listener_.get(), 4), 0);
    }
    // The next process was started.
    void begin() {
        pollfd polled{.fd = listener_.get(), .events = POLLIN, .revents = 0};
        if (::poll(&polled, 1, kLong) != 1) return;
        proto::Connection starter(UniqueFd(::accept(listener_.get(), nullptr, nullptr)));
        if (auto message = receive(starter, kLong))
            connection_.emplace(std::move(message->descriptors.at(0)));
    }
    void die() { connection_.reset(); }
    std::optional<proto::Json> next_request(int milliseconds = kLong) {
        if (!connection_) return std::nullopt;
        auto message = receive(*connection_, milliseconds);
        return message ? std::optional(std::move(message->body)) : std::nullopt;
    }
    void part(const proto::Json& request, const proto::Json& parameters) {
        send({{"id", request.at("id")}, {"parameters", parameters}, {"continues", true}});
    }
    void end(const proto::Json& request) {
        send({{"id", request.at("id")}, {"parameters", proto::Json::object()}});
    }
    void answer(const proto::Json& request, const std::vector<proto::Json>& parts) {
        for (const auto& one : parts) part(request, one);
        end(request);
    }

private:
    static constexpr int kLong = 20000;

    static std::optional<proto::Message> receive(proto::Connection& connection, int milliseconds) {
        pollfd polled{.fd = connection.fd(), .events = POLLIN, .revents = 0};
        if (::poll(&polled, 1, milliseconds) != 1) return std::nullopt;
        auto received = connection.receive();
        if (!received || received->messages.empty()) return std::nullopt;
        EXPECT_EQ(received->messages.size(), 1U);
        return std::move(received->messages.front());
    }
    void send(const proto::Json& body) {
        EXPECT_TRUE(connection_->send(body));
        EXPECT_TRUE(connection_->flush());
    }

    UniqueFd listener_;
    std::optional<proto::Connection> connection_;
};

std::string operation(const std::optional<proto::Json>& request) {
    return request ? request->at("operation").get<std::string>() : "none";
}

std::vector<std::string> addresses(const std::optional<proto::Json>& request) {
    if (operation(request) != "read") return {operation(request)};
    return request->at("parameters").at("addresses").get<std::vector<std::string>>();
}

class WorldTest : public testing::Test {
protected:
    WorldTest() {
        world.on_change([this](const pci::Address& address, const auto*, const auto*) {
            changes.push_back(address.str() + " " + driver_of(address));
            if (changes.back() == last_change) loop->stop(0);
        });
    }
    // Runs the loop while `script` answers, until the last change or at most so long.
    void run(std::string last, const std::function<void()>& script) {
        last_change = std::move(last);
        const std::jthread thread(script);
        auto timer = loop->after(20s, [&] { loop->stop(1); });
        EXPECT_EQ(loop->run(), 0) << "there was never: " << last_change;
    }
    std::string driver_of(const pci::Address& address) {
        const auto* found = world.find(address);
        return found == nullptr ? "gone" : found->driver.value_or("none");
    }

    tree::TemporaryFolder folder = tree::TemporaryFolder::create().value();
    std::string path = folder.path() + "/worker";
    SysRoot root = SysRoot::host().value();
    std::unique_ptr<EventLoop> loop = std::move(*EventLoop::create());
    FakeWorker worker{path};
    Workers workers{*loop, root, path};
    World world{*loop, workers, false};
    std::vector<std::string> changes;
    std::string last_change;
};

TEST_F(WorldTest, AnOlderReadingOfAllDoesNotUndoANewerOne) {
    ASSERT_TRUE(world.start([](const Result<>& result) { EXPECT_TRUE(result); }));
    // It has been read without a driver, and gets one before that is told.
    world.refresh({at(1)});
    run("0000:02:00.0 nvme", [&] {
        worker.begin();
        const auto inventory = worker.next_request();
        ASSERT_EQ(operation(inventory), "inventory");
        if (const auto early = worker.next_request(200)) {
            worker.answer(*early, {function(1, "igb")});
            return worker.answer(*inventory, {function(1, nullptr), function(2, "nvme")});
        }
        worker.answer(*inventory, {function(1, nullptr)});
        const auto read = worker.next_request();
        ASSERT_THAT(addresses(read), ElementsAre("0000:01:00.0"));
        worker.answer(*read, {function(1, "igb"), function(2, "nvme")});
    });
    EXPECT_EQ(driver_of(at(1)), "igb");
}

TEST_F(WorldTest, WhatWasNotAnsweredIsAskedForAgain) {
    bool refreshed = false;
    ASSERT_TRUE(world.start([&](const Result<>& result) {
        EXPECT_TRUE(result);
        world.refresh({at(1), at(2), at(3)}, [&] { refreshed = true; });
    }));
    run("0000:03:00.0 vfio-pci", [&] {
        worker.begin();
        const auto inventory = worker.next_request();
        ASSERT_EQ(operation(inventory), "inventory");
        worker.answer(*inventory, {function(1, "igb"), function(2, "igb"), function(3, "igb")});
        const auto first = worker.next_request();
        ASSERT_THAT(addresses(first), ElementsAre("0000:01:00.0", "0000:02:00.0", "0000:03:00.0"));
        worker.answer(*first, {function(1, "vfio-pci"), {{"gone", "0000:02:00.0"}}});
        const auto second = worker.next_request();
        ASSERT_THAT(addresses(second), ElementsAre("0000:03:00.0"));
        // Nor is it forgotten when the worker dies.
        worker.die();
        worker.begin();
        const auto third = worker.next_request();
        ASSERT_THAT(addresses(third), ElementsAre("0000:03:00.0"));
        worker.answer(*third, {function(3, "vfio-pci")});
    });
    EXPECT_TRUE(refreshed);
    // What was not read was never gone.
    EXPECT_THAT(changes,
                ElementsAre("0000:01:00.0 igb", "0000:02:00.0 igb", "0000:03:00.0 igb",
                            "0000:01:00.0 vfio-pci", "0000:02:00.0 gone", "0000:03:00.0 vfio-pci"));
}

TEST_F(WorldTest, WhatAReadingOfAllLeavesOutIsGoneOnlyWhenItIsSaidSo) {
    world.refresh({at(1), at(2)}, [&] {
        ASSERT_TRUE(world.start([](const Result<>& result) { EXPECT_TRUE(result); }));
    });
    run("0000:02:00.0 gone", [&] {
        worker.begin();
        const auto first = worker.next_request();
        ASSERT_EQ(operation(first), "read");
        worker.answer(*first, {function(1, "igb"), function(2, "igb")});
        const auto inventory = worker.next_request();
        ASSERT_EQ(operation(inventory), "inventory");
        worker.answer(*inventory, {{{"unread", "0000:03:00.0"}}});
        const auto read = worker.next_request();
        ASSERT_THAT(addresses(read), ElementsAre("0000:01:00.0", "0000:02:00.0", "0000:03:00.0"));
        worker.answer(*read, {function(1, "igb"), {{"gone", "0000:02:00.0"}}});
    });
    EXPECT_EQ(driver_of(at(1)), "igb");
}

// A daemon that could not look at the machine at first is of use from when it can.
TEST_F(WorldTest, AFirstReadingThatFailsIsMadeAgain) {
    std::vector<bool> told;
    ASSERT_TRUE(world.start([&](const Result<>& result) {
        told.push_back(result.has_value());
        if (result) loop->stop(0);
    }));
    run("never", [&] {
        worker.begin();
        ASSERT_EQ(operation(worker.next_request()), "inventory");
        worker.die();
        worker.begin();
        const auto again = worker.next_request();
        ASSERT_EQ(operation(again), "inventory");
        worker.answer(*again, {function(1, "igb")});
    });
    EXPECT_THAT(told, ElementsAre(false, true));
    EXPECT_EQ(driver_of(at(1)), "igb");
}

TEST(ReadOperation, OnlyWhatIsNotThereIsGone) {
    const auto folder = tree::TemporaryFolder::create().value();
    const auto functions = tree::write_host(folder.path(), {.functions = 8, .pfs = 1, .vfs = 2});
    ASSERT_TRUE(functions);
    const auto root = SysRoot::at(folder.path()).value();
    broker::DeviceWork work(root);
    const std::string there = functions->front().address.str();
    const auto read = [&](int spare_descriptors) {
        rlimit before{};
        ::getrlimit(RLIMIT_NOFILE, &before);
        rlimit few = before;
        if (spare_descriptors >= 0) {
            const UniqueFd next(::dup(STDERR_FILENO));
            few.rlim_cur = static_cast<rlim_t>(next.get() + spare_descriptors);
        }
        std::vector<std::string> parts;
        ::setrlimit(RLIMIT_NOFILE, &few);
        const auto reply = run_operation(
            work, root, "read", {{"addresses", {there, "0077:01:00.0"}}}, [&](proto::Json part) {
                parts.push_back(part.contains("gone") ? "gone " + part["gone"].dump()
                                                      : part["address"].dump());
            });
        ::setrlimit(RLIMIT_NOFILE, &before);
        EXPECT_TRUE(reply);
        return parts;
    };
    EXPECT_THAT(read(-1), ElementsAre('"' + there + '"', "gone \"0077:01:00.0\""));
    // However far it comes, it tells nothing that is not so.
    for (int spare = 0; spare < 6; ++spare)
        for (const auto& part : read(spare))
            EXPECT_TRUE(part == '"' + there + '"' || part == "gone \"0077:01:00.0\"") << part;
    EXPECT_THAT(read(0), ElementsAre());
}

}  // namespace
}  // namespace vfb::daemon

int main(int argc, char** argv) {
    // As a worker it is started with `--worker NAME --root PATH`.
    if (argc == 5 && std::string_view(argv[1]) == "--worker")
        return vfb::daemon::hand_over_worker(argv[4]);
    testing::InitGoogleMock(&argc, argv);
    return RUN_ALL_TESTS();
}
