// SPDX-License-Identifier: GPL-2.0-or-later
//
// The daemon's side of a worker process, and the set of them. Started on demand, ended when idle.
// A worker that does not answer in time is never signalled (a killed unbind turns from S to D): the
// operation is reported stuck, and if its answer comes later, that is told too.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "event_loop.hpp"
#include "proto/connection.hpp"
#include "worker_operations.hpp"

namespace vfb::daemon {

struct WorkerCall {
    std::string operation;
    proto::Json parameters;
    std::chrono::milliseconds timeout{0};
    std::string subject;                            // the function concerned, for messages
    std::function<void(Result<WorkerReply>)> done;  // exactly once
    std::function<void(proto::Json)> part;          // of an answer in parts; may be empty
    // The call came back after it had been reported stuck, or its worker is gone; may be empty.
    std::function<void()> late;
};

class Worker {
public:
    // `name` says whose worker it is in the process list: an address, or `inventory`.
    Worker(EventLoop& loop, const SysRoot& root, std::string root_path, std::string name);
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    // Never blocks. When the worker cannot be started or dies, every call is done with that error.
    void call(WorkerCall call);

private:
    struct Pending;
    Result<> start();
    Result<> send(std::uint64_t id, const WorkerCall& call);
    void on_io();
    void on_message(proto::Message message);
    void on_deadline(std::uint64_t id);
    void fail_all(const Error& error);
    void update_events();
    void arm_idle();

    EventLoop& loop_;
    const SysRoot& root_;
    std::string root_path_;
    std::string name_;
    std::unique_ptr<proto::Connection> connection_;
    Source io_;
    Source idle_;
    std::uint64_t next_id_ = 1;
    std::map<std::uint64_t, std::unique_ptr<Pending>> pending_;
};

// Workers by name.
class Workers {
public:
    Workers(EventLoop& loop, const SysRoot& root, std::string root_path)
        : loop_(loop), root_(root), root_path_(std::move(root_path)) {}
    Worker& of(const std::string& name);

private:
    EventLoop& loop_;
    const SysRoot& root_;
    std::string root_path_;
    std::map<std::string, std::unique_ptr<Worker>> workers_;
};

}  // namespace vfb::daemon
