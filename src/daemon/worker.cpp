// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker.hpp"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <vector>

#include "base/process.hpp"
#include "log.hpp"

namespace vfb::daemon {
namespace {

using namespace std::chrono_literals;

constexpr auto kIdle = 5s;
constexpr int kWorkerFd = 3;
constexpr proto::Limits kReplyLimits{.message_bytes = 8 << 20, .batch = 256};

// The child's signals as a fresh program expects them: the daemon blocks some.
struct SpawnAttributes {
    SpawnAttributes() {
        posix_spawnattr_init(&value);
        posix_spawnattr_setflags(&value, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        sigset_t set;
        sigemptyset(&set);
        posix_spawnattr_setsigmask(&value, &set);
        sigaddset(&set, SIGCHLD);
        sigaddset(&set, SIGPIPE);
        posix_spawnattr_setsigdefault(&value, &set);
    }
    SpawnAttributes(const SpawnAttributes&) = delete;
    SpawnAttributes& operator=(const SpawnAttributes&) = delete;
    ~SpawnAttributes() { posix_spawnattr_destroy(&value); }
    posix_spawnattr_t value{};
};

struct SpawnActions {
    SpawnActions() { posix_spawn_file_actions_init(&value); }
    SpawnActions(const SpawnActions&) = delete;
    SpawnActions& operator=(const SpawnActions&) = delete;
    ~SpawnActions() { posix_spawn_file_actions_destroy(&value); }
    posix_spawn_file_actions_t value{};
};

Result<> spawn(const std::string& program, std::vector<std::string> arguments, int socket) {
    SpawnAttributes attributes;
    SpawnActions actions;
    posix_spawn_file_actions_adddup2(&actions.value, socket, kWorkerFd);
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_t pid = 0;
    const int rc =
        posix_spawn(&pid, program.c_str(), &actions.value, &attributes.value, argv.data(), environ);
    if (rc != 0) return fail_errno(rc, "start a worker process", program);
    return {};
}

}  // namespace

struct Worker::Pending {
    WorkerCall call;
    Source deadline;
    bool stuck = false;  // reported already; the answer is still awaited
};

Worker::Worker(EventLoop& loop, const SysRoot& root, std::string root_path, std::string name)
    : loop_(loop), root_(root), root_path_(std::move(root_path)), name_(std::move(name)) {}

Worker::~Worker() = default;

Result<> Worker::start() {
    if (connection_) return {};
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return fail_errno(errno, "start a worker process", name_);
    UniqueFd ours(ends[0]);
    const UniqueFd theirs(ends[1]);
    // Not by its path: after an upgrade that is a program which may speak to its workers otherwise.
    VFB_CHECK(
        spawn(kOwnImage, {"vfbrokerd", "--worker", name_, "--root", root_path_}, theirs.get()));
    connection_ = std::make_unique<proto::Connection>(std::move(ours), kReplyLimits);
    VFB_TRY(io_, loop_.watch(connection_->fd(), EPOLLIN, [this](std::uint32_t) { on_io(); }));
    return {};
}

Result<> Worker::send(std::uint64_t id, const WorkerCall& call) {
    VFB_CHECK(start());
    VFB_CHECK(connection_->send(
        {{"id", id}, {"operation", call.operation}, {"parameters", call.parameters}}));
    VFB_CHECK(connection_->flush());
    update_events();
    return {};
}

void Worker::call(WorkerCall call) {
    idle_.reset();
    const std::uint64_t id = next_id_++;
    if (auto sent = send(id, call); !sent) {
        call.done(std::unexpected(std::move(sent).error()));
        return;
    }
    auto pending = std::make_unique<Pending>();
    if (auto timer = loop_.after(call.timeout, [this, id] { on_deadline(id); }))
        pending->deadline = std::move(*timer);
    pending->call = std::move(call);
    pending_.emplace(id, std::move(pending));
}

void Worker::update_events() {
    loop_.set_events(io_, connection_ && connection_->wants_write() ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void Worker::on_io() {
    auto flushed = connection_->flush();
    auto received = connection_->receive();
    if (!received) return fail_all(received.error());
    for (auto& message : received->messages) on_message(std::move(message));
    if (!connection_) return;
    if (received->closed || !flushed)
        return fail_all(fail(Code::failed, "work on " + name_, name_,
                             "its worker process ended unexpectedly", "see the log of vfbrokerd")
                            .error());
    if (received->more) {
        on_io();
        return;
    }
    update_events();
    arm_idle();
}

void Worker::on_message(proto::Message message) {
    const auto it = pending_.find(message.body.value("id", std::uint64_t{0}));
    if (it == pending_.end()) return;
    if (message.body.value("continues", false)) {
        if (it->second->call.part) it->second->call.part(std::move(message.body["parameters"]));
        return;
    }
    const auto pending = std::move(it->second);
    pending_.erase(it);
    if (pending->stuck) {
        log(Level::notice, "{} on {} came back after it had been given up", pending->call.operation,
            pending->call.subject);
        if (pending->call.late) pending->call.late();
        return;
    }
    if (const auto error = message.body.find("error"); error != message.body.end()) {
        pending->call.done(std::unexpected(proto::error_from_json(*error)));
        return;
    }
    pending->call.done(WorkerReply{.parameters = std::move(message.body["parameters"]),
                                   .descriptors = std::move(message.descriptors)});
}

void Worker::on_deadline(std::uint64_t id) {
    const auto it = pending_.find(id);
    if (it == pending_.end()) return;
    it->second->stuck = true;
    const auto done = std::move(it->second->call.done);
    const auto& call = it->second->call;
    done(fail(Code::stuck, fmt::format("{} {}", call.operation, call.subject), call.subject,
              fmt::format("the kernel has not come back after {} s", call.timeout / 1s),
              "dmesg and the stack of the worker process show where it waits; most often a "
              "process still has the function open"));
}

void Worker::fail_all(const Error& error) {
    io_.reset();
    connection_.reset();
    auto pending = std::move(pending_);
    pending_.clear();
    for (auto& [id, entry] : pending) {
        if (!entry->stuck) entry->call.done(std::unexpected(error));
        // The kernel closes a process's socket when its last thread has left it: the call is over.
        // Should a worker have been given up for what it said, whatever is begun next waits for the
        // kernel's lock of the device in its turn.
        else if (entry->call.late)
            entry->call.late();
    }
}

void Worker::arm_idle() {
    if (!pending_.empty()) return;
    if (auto timer = loop_.after(kIdle, [this] {
            // Closing our end ends the process.
            io_.reset();
            connection_.reset();
        }))
        idle_ = std::move(*timer);
}

Worker& Workers::of(const std::string& name) {
    auto& worker = workers_[name];
    if (!worker) worker = std::make_unique<Worker>(loop_, root_, root_path_, name);
    return *worker;
}

}  // namespace vfb::daemon
