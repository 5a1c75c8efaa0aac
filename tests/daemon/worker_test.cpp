// SPDX-License-Identifier: GPL-2.0-or-later
//
// Worker against a process that does not come back, or dies. Workers are started from the running
// program, which is this one: see main().
#include "worker.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <vector>

#include "base/process.hpp"
#include "proto/connection.hpp"

namespace vfb::daemon {
namespace {

using namespace std::chrono_literals;

class WorkerTest : public testing::Test {
protected:
    // What becomes of it is in `events`; the loop ends when there are `awaited` of them.
    void call(const std::string& operation, std::chrono::milliseconds timeout) {
        worker.call({.operation = operation,
                     .parameters = proto::Json::object(),
                     .timeout = timeout,
                     .subject = "0000:01:00.0",
                     .done =
                         [this, operation](const Result<WorkerReply>& reply) {
                             const auto how =
                                 reply ? "done" : std::string(to_string(reply.error().code));
                             said(operation + " " + how);
                         },
                     .part = {},
                     .late = [this, operation] { said(operation + " late"); }});
    }
    void said(const std::string& event) {
        events.push_back(event);
        if (on_event) on_event(event);
        if (events.size() >= awaited) loop->stop(0);
    }
    void run(std::size_t until) {
        awaited = until;
        auto deadline = loop->after(30s, [this] { loop->stop(1); });
        EXPECT_EQ(loop->run(), 0) << "nothing more was said";
    }

    std::unique_ptr<EventLoop> loop = std::move(*EventLoop::create());
    SysRoot root = std::move(*SysRoot::host());
    Worker worker{*loop, root, "/", "0000:01:00.0"};
    std::vector<std::string> events;
    std::size_t awaited = 0;
    std::function<void(const std::string&)> on_event;
};

TEST_F(WorkerTest, CallThatComesBackLateIsTold) {
    call("wait", 20ms);
    on_event = [this](const std::string& event) {
        if (event == "wait stuck") call("answer-all", 30s);
    };
    run(3);
    EXPECT_EQ(events, (std::vector<std::string>{"wait stuck", "wait late", "answer-all done"}));
}

TEST_F(WorkerTest, StuckCallOfAWorkerThatDiesIsOver) {
    call("wait", 20ms);
    on_event = [this](const std::string& event) {
        if (event != "wait stuck") return;
        call("wait-too", 30s);
        call("die", 30s);
    };
    run(4);
    EXPECT_EQ(events, (std::vector<std::string>{"wait stuck", "wait late", "wait-too failed",
                                                "die failed"}));
}

// As what waited for the PF does: another process is there for it.
TEST_F(WorkerTest, WhoeverIsToldMayCallAgain) {
    call("wait", 20ms);
    on_event = [this](const std::string& event) {
        if (event == "wait stuck") call("die", 30s);
        if (event == "wait late") call("answer-all", 30s);
    };
    run(4);
    EXPECT_EQ(events.back(), "answer-all done");
}

// An upgrade replaces the file of a running daemon. The worker of that daemon has to be its own
// build: a copy of this program here, in the place of which there is another by then.
TEST(ReplacedProgram, StartsItsOwnWorkers) {
    const auto folder =
        std::filesystem::temp_directory_path() / ("vfb-replaced-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder);
    const auto copy = folder / "daemon";
    std::filesystem::copy_file(own_program().value(), copy);
    EXPECT_EQ(std::system((copy.string() + " --replaced").c_str()), 0);
    std::filesystem::remove_all(folder);
}

int replaced() {
    const auto path = own_program().value();
    std::filesystem::remove(path);
    if (own_program().value() != path) return 2;
    std::filesystem::copy_file("/bin/false", path);
    const auto loop = std::move(*EventLoop::create());
    const auto root = std::move(*SysRoot::host());
    Worker worker{*loop, root, "/", "0000:01:00.0"};
    worker.call({.operation = "answer-all",
                 .parameters = proto::Json::object(),
                 .timeout = 30s,
                 .subject = "0000:01:00.0",
                 .done = [&](const Result<WorkerReply>& reply) { loop->stop(reply ? 0 : 1); },
                 .part = {},
                 .late = {}});
    return loop->run();
}

// The process: `answer-all` answers that and all that came before, `die` ends it.
int fake_worker() {
    proto::Connection connection{UniqueFd(3)};
    std::vector<proto::Json> ids;
    for (;;) {
        pollfd readable{.fd = connection.fd(), .events = POLLIN, .revents = 0};
        if (::poll(&readable, 1, -1) < 0) return 1;
        const auto received = connection.receive();
        if (!received || received->closed) return 0;
        for (const auto& message : received->messages) {
            ids.push_back(message.body.at("id"));
            const auto& operation = message.body.at("operation");
            if (operation == "die") return 1;
            if (operation != "answer-all") continue;
            for (const auto& id : ids)
                if (!connection.send({{"id", id}, {"parameters", proto::Json::object()}})) return 1;
            ids.clear();
            if (!connection.flush()) return 1;
        }
    }
}

}  // namespace
}  // namespace vfb::daemon

int main(int argc, char** argv) {
    if (argc > 1 && argv[1] == std::string_view("--worker")) return vfb::daemon::fake_worker();
    if (argc > 1 && argv[1] == std::string_view("--replaced")) return vfb::daemon::replaced();
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
