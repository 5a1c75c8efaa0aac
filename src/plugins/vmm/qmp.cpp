// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/qmp.hpp"

#include <fmt/format.h>

#include "base/sys_root.hpp"
#include "peer.hpp"
#include "proto/connection.hpp"
#include "qmp_text.hpp"

namespace vfb::vmm {
namespace {

using proto::Json;

// A tree of PCI bridges nests deeply.
constexpr proto::Limits kLimits{.message_bytes = 16 << 20, .depth = 128};
constexpr const char* kOneMore = "give QEMU one more monitor: -qmp unix:PATH,server=on,wait=off";

std::unexpected<Error> refusal(const std::string& command, const std::string& path,
                               const Json& error) {
    const auto member = [&](const char* name) {
        const auto found = error.find(name);
        return found != error.end() && found->is_string() ? found->get<std::string>() : "";
    };
    const Code code = member("class") == "DeviceNotFound" ? Code::not_found : Code::failed;
    return fail(code, fmt::format("run {} in QEMU", command), path, "QEMU says: " + member("desc"));
}

}  // namespace

Monitor::Monitor(Peer peer)
    : peer_(std::make_unique<Peer>(std::move(peer))),
      splitter_(std::make_unique<MessageSplitter>()) {}
Monitor::Monitor(Monitor&&) noexcept = default;
Monitor& Monitor::operator=(Monitor&&) noexcept = default;
Monitor::~Monitor() = default;

Result<Monitor> Monitor::connect(const std::string& path, std::chrono::milliseconds timeout) {
    auto peer = Peer::connect("QEMU", path, timeout);
    if (!peer) {
        Error error = std::move(peer).error();
        if (error.code == Code::timeout) error.hint = kOneMore;
        if (!error.hint.empty() && error.code != Code::timeout)
            error.hint += " -qmp unix:" + path + ",server=on,wait=off";
        return std::unexpected(std::move(error));
    }
    Monitor monitor(std::move(*peer));
    VFB_CHECK(monitor.negotiate(timeout));
    return monitor;
}

Result<> Monitor::negotiate(std::chrono::milliseconds timeout) {
    const Deadline deadline(timeout);
    auto greeting = receive(deadline);
    if (!greeting && greeting.error().code == Code::timeout)
        return fail(Code::timeout, peer_->operation(), peer_->path(),
                    "no greeting came: QEMU serves one client of a monitor at a time", kOneMore);
    if (!greeting) return std::unexpected(std::move(greeting).error());
    if (!greeting->contains("QMP"))
        return peer_->protocol_error("its greeting is not QMP's", "is it the socket of -qmp?");
    // Between two messages of one process: it lived, and so had that start time.
    const pid_t pid = peer_->sender();
    VFB_TRY(const auto root, SysRoot::host());
    VFB_TRY(process_, identify_process(root.proc(), pid));
    VFB_CHECK(execute("qmp_capabilities", Json::object(), timeout));
    if (peer_->sender() != pid) return peer_->protocol_error("several processes answer");
    return {};
}

Result<Json> Monitor::execute(const std::string& command, const Json& arguments,
                              std::chrono::milliseconds timeout, int descriptor) {
    const Deadline deadline(timeout);
    const std::string id = fmt::format("vfbroker-{}", ++commands_);
    Json body = {{"execute", command}};
    if (!arguments.empty()) body["arguments"] = arguments;
    body["id"] = id;
    const std::string text = body.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
    VFB_CHECK(peer_->send(text, descriptor));
    auto reply = reply_to(id, deadline);
    if (!reply && reply.error().code == Code::timeout)
        return fail(Code::timeout, fmt::format("run {} in QEMU", command), peer_->path(),
                    fmt::format("no answer came in {} s", timeout / std::chrono::seconds(1)));
    if (!reply) return std::unexpected(std::move(reply).error());
    if (const auto error = reply->find("error"); error != reply->end())
        return refusal(command, peer_->path(), *error);
    const auto found = reply->find("return");
    if (found == reply->end()) return peer_->protocol_error("a reply has no `return`");
    return std::move(*found);
}

// An error without an id is one of QEMU's parser, which has not understood us; a reply with another
// is a late one, to a command that is not waited for any more.
Result<Json> Monitor::reply_to(const std::string& id, const Deadline& deadline) {
    for (;;) {
        VFB_TRY(auto message, receive(deadline));
        if (message.contains("event")) {
            events_.push_back(std::move(message));
            continue;
        }
        const auto to = message.find("id");
        const bool ours = to == message.end() ? message.contains("error") : *to == id;
        if (ours) return message;
    }
}

Result<Json> Monitor::wait_for_event(const std::function<bool(const Json&)>& wanted,
                                     const Deadline& deadline) {
    for (;;) {
        while (!events_.empty()) {
            Json event = std::move(events_.front());
            events_.pop_front();
            if (wanted(event)) return event;
        }
        VFB_TRY(auto message, receive(deadline));
        if (message.contains("event")) events_.push_back(std::move(message));
    }
}

Result<Json> Monitor::receive(const Deadline& deadline) {
    for (;;) {
        if (const auto text = splitter_->next()) {
            auto body = proto::parse_object(*text, kLimits);
            if (body) return body;
            return peer_->protocol_error(body.error().reason, "is it the socket of -qmp?");
        }
        if (splitter_->pending() > kLimits.message_bytes)
            return peer_->protocol_error("a message has no end");
        VFB_TRY(const auto bytes, peer_->receive(deadline));
        splitter_->feed(bytes);
    }
}

}  // namespace vfb::vmm
