// SPDX-License-Identifier: GPL-2.0-or-later
//
// Monitor: a client of QEMU's machine protocol (QMP: docs/interop/qmp-spec of QEMU) on a Unix
// socket. Blocking, each call with a deadline; one thread at a time.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/deadline.hpp"
#include "base/process.hpp"
#include "proto/json.hpp"

namespace vfb::vmm {

class MessageSplitter;
class Peer;

class Monitor {
public:
    // Reads the greeting and leaves negotiation mode. Code::timeout when nobody answers: QEMU
    // serves one client of a monitor at a time.
    static Result<Monitor> connect(const std::string& path, std::chrono::milliseconds timeout);
    Monitor(Monitor&&) noexcept;
    Monitor& operator=(Monitor&&) noexcept;
    ~Monitor();

    // The process that answers.
    [[nodiscard]] const ProcessId& process() const { return process_; }

    // What the command returns. QEMU's refusal is an Error with QEMU's own text: Code::not_found
    // for class DeviceNotFound, else Code::failed. `descriptor`, if any, goes with the command.
    // After Code::timeout, ::lost or ::protocol the connection is of no use any more.
    Result<proto::Json> execute(const std::string& command, const proto::Json& arguments,
                                std::chrono::milliseconds timeout, int descriptor = -1);

    // The next event for which `wanted` is true; others are dropped.
    Result<proto::Json> wait_for_event(const std::function<bool(const proto::Json&)>& wanted,
                                       const Deadline& deadline);

private:
    explicit Monitor(Peer peer);
    Result<proto::Json> receive(const Deadline& deadline);
    Result<> negotiate(std::chrono::milliseconds timeout);
    Result<proto::Json> reply_to(const std::string& id, const Deadline& deadline);

    std::unique_ptr<Peer> peer_;
    std::unique_ptr<MessageSplitter> splitter_;
    std::deque<proto::Json> events_;
    ProcessId process_;
    unsigned commands_ = 0;
};

}  // namespace vfb::vmm
