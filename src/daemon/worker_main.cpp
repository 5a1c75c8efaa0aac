// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker_main.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <thread>

#include "base/process.hpp"
#include "log.hpp"
#include "outbox.hpp"
#include "proto/connection.hpp"
#include "worker_operations.hpp"

namespace vfb::daemon {
namespace {

using proto::Json;

constexpr proto::Limits kRequestLimits{.message_bytes = 8 << 20, .queued_bytes = 256 << 20};

void serve(broker::DeviceWork& work, const SysRoot& root, Outbox& outbox, const Json& request) {
    const Json& id = request.at("id");
    const SendPart part = [&](Json parameters) {
        outbox.put({{"id", id}, {"parameters", std::move(parameters)}, {"continues", true}}, {});
    };
    auto reply = run_operation(work, root, request.at("operation").get<std::string>(),
                               request.at("parameters"), part);
    if (reply)
        outbox.put({{"id", id}, {"parameters", std::move(reply->parameters)}},
                   std::move(reply->descriptors));
    else
        outbox.put({{"id", id}, {"error", proto::to_json(reply.error())}}, {});
}

// One turn: waits, reads requests, writes answers. false: the daemon is gone.
Result<bool> turn(proto::Connection& connection, broker::DeviceWork& work, const SysRoot& root,
                  Outbox& outbox) {
    const short events = connection.wants_write() ? POLLIN | POLLOUT : POLLIN;
    std::array<pollfd, 2> polled{{{.fd = connection.fd(), .events = events, .revents = 0},
                                  {.fd = outbox.fd(), .events = POLLIN, .revents = 0}}};
    if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR)
        return fail_errno(errno, "wait for the daemon", "worker");
    VFB_TRY(auto received, connection.receive());
    for (auto& message : received.messages)
        std::thread([&work, &root, &outbox, request = std::move(message.body)] {
            serve(work, root, outbox, request);
        }).detach();
    VFB_CHECK(outbox.send_all(connection));
    VFB_CHECK(connection.flush());
    return !received.closed;
}

}  // namespace

void run_worker(UniqueFd socket, const SysRoot& root) {
    name_process("vfbrokerd");
    proto::Connection connection(std::move(socket), kRequestLimits);
    broker::DeviceWork work(root);
    Outbox outbox;
    for (;;) {
        const auto more = turn(connection, work, root, outbox);
        if (!more && more.error().code != Code::lost) log_error(more.error());
        // Threads may be inside the kernel: no destructor may run under them.
        if (!more || !*more) ::_exit(more ? 0 : 1);
    }
}

}  // namespace vfb::daemon
