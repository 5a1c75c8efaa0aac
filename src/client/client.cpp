// SPDX-License-Identifier: LGPL-2.1-or-later
#include "client/client.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

namespace vfb::client {
namespace {

using proto::Json;

// The daemon is trusted to send a long list, and no more descriptors than a message holds.
constexpr proto::Limits kLimits{.message_bytes = 64 << 20};

std::unexpected<Error> connect_failure(int error, const std::string& path) {
    auto failure = fail_errno(error, "reach vfbrokerd at " + path, path);
    if (error == ENOENT || error == ECONNREFUSED) {
        failure.error().code = Code::not_running;
        failure.error().hint = "systemctl start vfbrokerd.socket";
    } else if (error == EAGAIN) {
        failure.error().code = Code::busy;
    } else if (error == EACCES || error == EPERM) {
        failure.error().code = Code::denied;
        failure.error().hint = "ls -l " + path + " (its group may use vfbroker)";
    }
    return failure;
}

Error lost(std::string operation) {
    return fail(Code::lost, std::move(operation), {}, "vfbrokerd closed the connection",
                "systemctl status vfbrokerd")
        .error();
}

// What a reply with `error` means.
Error error_of(const Json& reply, const std::string& method) {
    const Json name = reply.value("error", Json());
    const auto found = reply.find("parameters");
    const Json parameters = found == reply.end() ? Json::object() : *found;
    if (name == proto::kFailed) return proto::error_from_json(parameters);
    const std::string text = name.is_string() ? name.get<std::string>() : name.dump();
    const std::string_view service = proto::kServiceInterface;
    if (text.starts_with(service) && text.ends_with(".InvalidParameter"))
        return fail(Code::invalid, "call " + method, {},
                    "vfbrokerd refuses a parameter: " + parameters.dump())
            .error();
    return fail(text.starts_with(service) ? Code::unsupported : Code::failed, "call " + method, {},
                "vfbrokerd answered " + text, "vfbrokerd and its clients may differ in version")
        .error();
}

std::string full_name(std::string_view method) {
    if (method.contains('.')) return std::string(method);
    return fmt::format("{}.{}", proto::kInterface, method);
}

}  // namespace

Result<Client> Client::connect(const std::string& path) {
    return connect(path, 0);
}

Result<Client> Client::connect_now(const std::string& path) {
    return connect(path, SOCK_NONBLOCK);
}

Result<Client> Client::connect(const std::string& path, int flags) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        return fail(Code::invalid, "reach vfbrokerd at " + path, path,
                    fmt::format("a socket's path has 1 to {} bytes", sizeof address.sun_path - 1));
    std::memcpy(address.sun_path, path.data(), path.size());
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
    if (!socket) return connect_failure(errno, path);
    // NOLINTNEXTLINE(*-reinterpret-cast): how the sockets API spells inheritance
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    while (::connect(socket.get(), generic, sizeof address) != 0)
        if (errno != EINTR) return connect_failure(errno, path);
    return Client(proto::Connection(std::move(socket), kLimits));
}

Result<> Client::wait(const Timeout& deadline) const {
    pollfd poll{.fd = connection_.fd(), .events = POLLIN, .revents = 0};
    if (connection_.wants_write()) poll.events |= POLLOUT;
    const int count = ::poll(&poll, 1, deadline ? deadline->poll_timeout() : -1);
    if (count < 0 && errno != EINTR) return fail_errno(errno, {}, {});
    if (count == 0 && deadline && deadline->expired())
        return fail(Code::timeout, {}, {}, "vfbrokerd gave no answer in time");
    return {};
}

Result<proto::TextMessage> Client::send_and_wait(const Json& body, const Timeout& deadline) {
    VFB_CHECK(connection_.send(body));
    return wait_for_message(deadline);
}

Result<bool> Client::receive() {
    const auto flushed = connection_.flush();
    if (!flushed && flushed.error().code != Code::lost) return std::unexpected(flushed.error());
    // A vfbrokerd that has hung up may have said why.
    VFB_TRY(auto received, connection_.receive_text());
    if (received.messages.empty() && received.closed) return fail(Code::lost, {}, {}, {});
    std::ranges::move(received.messages, std::back_inserter(arrived_));
    return received.more;
}

Result<proto::TextMessage> Client::wait_for_message(const Timeout& deadline) {
    while (arrived_.empty()) {
        VFB_TRY(const bool more, receive());
        if (arrived_.empty() && !more) VFB_CHECK(wait(deadline));
    }
    auto message = std::move(arrived_.front());
    arrived_.pop_front();
    return message;
}

std::unexpected<Error> Client::hang_up(Error cause, const std::string& method) {
    hung_up_ = true;
    ::shutdown(connection_.fd(), SHUT_RDWR);
    if (cause.code == Code::lost) return std::unexpected(lost("call " + method));
    Error error{.code = cause.code,
                .errnum = 0,
                .operation = "call " + method,
                .subject = {},
                .reason = {},
                .hint = {},
                .cause = nullptr};
    return std::unexpected(std::move(error).because(std::move(cause)));
}

Result<> Client::check_free(const std::string& method) const {
    if (hung_up_) return std::unexpected(lost("call " + method));
    if (!started_.empty())
        return fail(Code::busy, "call " + method, {}, started_ + " is under way on this connection",
                    "wait for its result, or use another connection");
    return {};
}

Result<proto::TextMessage> Client::exchange(const std::string& method, const Json& parameters,
                                            const Timeout& deadline) {
    VFB_CHECK(check_free(method));
    auto message = send_and_wait({{"method", method}, {"parameters", parameters}}, deadline);
    if (!message) return hang_up(std::move(message.error()), method);
    return message;
}

Result<Reply> Client::call(std::string_view method, const Json& parameters,
                           std::optional<std::chrono::milliseconds> timeout) {
    const std::string name = full_name(method);
    VFB_TRY(auto message, exchange(name, parameters, timeout ? Timeout(*timeout) : std::nullopt));
    return read_reply(std::move(message), name);
}

Result<Reply> Client::read_reply(proto::TextMessage message, const std::string& method) {
    auto body = proto::parse_object(message.text, kLimits);
    if (!body) return hang_up(std::move(body.error()), method);
    if (body->contains("error")) return std::unexpected(error_of(*body, method));
    const auto found = body->find("parameters");
    Reply reply{.parameters = Json::object(), .descriptors = std::move(message.descriptors)};
    reply.continues = body->value("continues", Json()) == true;
    if (found != body->end() && found->is_object()) reply.parameters = std::move(*found);
    return reply;
}

Result<Reply> Client::call_more(std::string_view method, const Json& parameters,
                                const std::function<void(const Json&)>& part) {
    const std::string name = full_name(method);
    VFB_CHECK(check_free(name));
    auto message =
        send_and_wait({{"method", name}, {"parameters", parameters}, {"more", true}}, std::nullopt);
    for (;;) {
        if (!message) return hang_up(std::move(message.error()), name);
        VFB_TRY(auto reply, read_reply(std::move(*message), name));
        if (!reply.continues) return reply;
        part(reply.parameters);
        message = wait_for_message(std::nullopt);
    }
}

Result<> Client::start(std::string_view method, const Json& parameters, bool more) {
    const std::string name = full_name(method);
    VFB_CHECK(check_free(name));
    Json body{{"method", name}, {"parameters", parameters}};
    if (more) body["more"] = true;
    VFB_CHECK(connection_.send(body));
    started_ = name;
    // One that has hung up is for advance(), which reads what was said before.
    if (auto flushed = connection_.flush(); !flushed && flushed.error().code != Code::lost)
        return hang_up(flushed.error(), name);
    return {};
}

Result<std::optional<Reply>> Client::advance() {
    const std::string name = started_.empty() ? "vfbrokerd" : started_;
    if (hung_up_) return std::unexpected(lost("call " + name));
    for (bool more = true; more && arrived_.empty();) {
        auto received = receive();
        if (!received) return hang_up(std::move(received.error()), name);
        more = *received;
    }
    if (arrived_.empty()) return std::nullopt;
    auto message = std::move(arrived_.front());
    arrived_.pop_front();
    if (started_.empty())
        return hang_up(
            fail(Code::protocol, {}, {}, "vfbrokerd answered what nobody asked for").error(), name);
    auto reply = read_reply(std::move(message), name);
    if (!reply || !reply->continues) started_.clear();
    if (!reply) return std::unexpected(std::move(reply).error());
    return std::move(*reply);
}

Result<> Client::call_and_scan(std::string_view method, const Json& parameters,
                               const std::function<void(proto::Scanner&)>& reader) {
    const std::string name = full_name(method);
    VFB_TRY(const auto message, exchange(name, parameters, std::nullopt));
    proto::Scanner scanner(message.text);
    bool answered = false;
    bool refused = false;
    scanner.object([&](std::string_view key) {
        refused = refused || key == "error";
        if (key != "parameters") {
            scanner.skip();
            return;
        }
        answered = true;
        reader(scanner);
    });
    if (scanner.ok() && answered && !refused) return {};
    // Whatever this is, it is not what was asked for: now it pays to know exactly.
    auto body = proto::parse_object(message.text, kLimits);
    if (!body) return hang_up(std::move(body.error()), name);
    if (body->contains("error")) return std::unexpected(error_of(*body, name));
    return fail(Code::protocol, "call " + name, {}, "vfbrokerd's answer is not what it should be",
                "vfbrokerd and its clients may differ in version");
}

Result<std::string> Client::call_text(std::string_view method, const Json& parameters) {
    std::string answer;
    VFB_CHECK(call_and_scan(method, parameters,
                            [&](proto::Scanner& scanner) { answer = scanner.skip(); }));
    return answer;
}

}  // namespace vfb::client
