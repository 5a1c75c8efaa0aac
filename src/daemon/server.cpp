// SPDX-License-Identifier: GPL-2.0-or-later
#include "server.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>

#include "log.hpp"
#include "peer.hpp"

namespace vfb::daemon {
namespace {

constexpr unsigned kConnectionsPerUser = 128;
constexpr std::size_t kConnections = 1024;
// Callers send little and never descriptors; a lease of everything is answered in one message.
constexpr proto::Limits kClientLimits{
    .message_bytes = 256 << 10, .batch = 16, .accept_descriptors = false};

Result<UniqueFd> make_socket(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return fail(Code::invalid, "listen on " + path, path, "the path is too long for a socket");
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return fail_errno(errno, "listen on " + path, path);
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
    // A socket file that a killed daemon left; a living one holds the state database, which is
    // opened before.
    ::unlink(path.c_str());
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return fail_errno(errno, "listen on " + path, path, {},
                          "does its folder exist, and may vfbrokerd write to it?");
    // Everybody may connect; pools say who may do what.
    if (::chmod(path.c_str(), 0666) != 0 || ::listen(fd.get(), SOMAXCONN) != 0)
        return fail_errno(errno, "listen on " + path, path);
    return fd;
}

// Says `error` to a peer that is not served: at once or never, nobody waits for it.
void turn_away(const UniqueFd& socket, const Error& error) {
    const auto text = proto::make_error(proto::kFailed, proto::to_json(error)).dump();
    ::send(socket.get(), text.c_str(), text.size() + 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace

struct Server::Session {
    Session(std::uint64_t number, UniqueFd socket, broker::Caller peer)
        : id(number), connection(std::move(socket), kClientLimits), caller(std::move(peer)) {}

    std::uint64_t id;
    proto::Connection connection;
    broker::Caller caller;
    Source source;
    Source later;                      // the next call, from the loop
    Source closing;                    // set: the connection is about to go
    std::deque<proto::Message> calls;  // received, not yet begun
    bool busy = false;                 // a call is under way
    bool more = false;                 // receive() has more without the socket
    bool ended = false;                // the peer will send no more
};

Server::Server(EventLoop& loop, const SysRoot& root) : loop_(loop), root_(root) {}

Server::~Server() {
    if (!path_.empty()) ::unlink(path_.c_str());
}

Result<> Server::listen(const std::string& path, UniqueFd activated) {
    if (activated) {
        listener_ = std::move(activated);
    } else {
        VFB_TRY(listener_, make_socket(path));
        path_ = path;
    }
    VFB_TRY(source_, loop_.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept(); }));
    return {};
}

void Server::accept() {
    UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) {
        if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
            log(Level::warning, "cannot accept a connection: {}", errno_text(errno));
        return;
    }
    if (auto added = add(std::move(socket)); !added) log_error(added.error(), Level::warning);
}

Result<> Server::check_room(uid_t uid) const {
    const std::string operation = fmt::format("serve user {}", uid);
    const auto own = per_user_.find(uid);
    if (uid != 0 && own != per_user_.end() && own->second >= kConnectionsPerUser)
        return fail(Code::exhausted, operation, "vfbrokerd",
                    fmt::format("{} connections of that user are open, and no more are allowed",
                                own->second),
                    "close some: ss -xp shows whose they are");
    if (sessions_.size() >= kConnections)
        return fail(
            Code::exhausted, operation, "vfbrokerd",
            fmt::format("{} connections are open, and no more are allowed", sessions_.size()),
            "close some: ss -xp shows whose they are");
    return {};
}

Result<std::uint64_t> Server::add(UniqueFd socket) {
    VFB_TRY(auto caller, identify_peer(root_, socket.get(), administrators_));
    if (auto room = check_room(caller.uid); !room) {
        turn_away(socket, room.error());
        return std::unexpected(std::move(room.error()));
    }
    ++per_user_[caller.uid];
    const std::uint64_t id = next_session_++;
    auto session = std::make_unique<Session>(id, std::move(socket), std::move(caller));
    VFB_TRY(session->source, loop_.watch(session->connection.fd(), EPOLLIN,
                                         [this, id](std::uint32_t events) { on_io(id, events); }));
    sessions_.emplace(id, std::move(session));
    return id;
}

std::optional<std::uint64_t> Server::adopt(UniqueFd socket) {
    auto id = add(std::move(socket));
    if (!id) return std::nullopt;
    return *id;
}

void Server::on_io(std::uint64_t id, std::uint32_t events) {
    const auto it = sessions_.find(id);
    if (it == sessions_.end() || it->second->closing) return;
    Session& session = *it->second;
    if ((events & EPOLLOUT) != 0) {
        if (auto flushed = session.connection.flush(); !flushed) return close(id, flushed.error());
        if (on_flushed_ && !session.connection.wants_write()) on_flushed_();
    }
    // Nothing is read while a call is under way, but a peer that hangs up is noticed: EPOLLHUP
    // comes whatever is asked for. One that only says that it will send no more still gets its
    // reply.
    if (session.busy) {
        if ((events & (EPOLLHUP | EPOLLERR)) != 0) return close(id, std::nullopt);
        return update_events(session);
    }
    auto received = session.connection.receive();
    if (!received) return close(id, received.error());
    for (auto& message : received->messages) session.calls.push_back(std::move(message));
    session.more = received->more;
    session.ended |= received->closed;
    next_call(session);
}

void Server::next_call(Session& session) {
    if (session.busy || session.closing) return;
    if (session.calls.empty()) {
        if (session.ended) return close(session.id, std::nullopt);
        if (session.more) return on_io(session.id, EPOLLIN);
        return update_events(session);
    }
    proto::Message message = std::move(session.calls.front());
    session.calls.pop_front();
    auto call = proto::parse_call(message.body);
    if (!call) return close(session.id, call.error());
    session.busy = true;
    update_events(session);
    std::function<bool(proto::Text)> progress;
    if (call->more)
        progress = [this, id = session.id](proto::Text body) {
            return send_progress(id, std::move(body));
        };
    handler_({.session = session.id,
              .connection_fd = session.connection.fd(),
              .caller = session.caller,
              .call = *call,
              .reply =
                  [this, id = session.id, oneway = call->oneway](
                      proto::Text body, std::vector<UniqueFd> descriptors) {
                      send(id, std::move(body), std::move(descriptors), oneway);
                  },
              .progress = std::move(progress)});
}

bool Server::send_progress(std::uint64_t id, proto::Text body) {
    const auto it = sessions_.find(id);
    if (it == sessions_.end() || it->second->closing) return true;  // nobody to tell
    if (it->second->connection.wants_write()) return false;
    Session& session = *it->second;
    if (auto sent = session.connection.send_text(std::move(body), {}); !sent)
        close(id, sent.error());
    else if (auto flushed = session.connection.flush(); !flushed)
        close(id, flushed.error());
    else
        update_events(session);
    return true;
}

void Server::refuse(std::uint64_t session, const Error& error) {
    send(session,
         std::make_shared<const std::string>(
             proto::make_error(proto::kFailed, proto::to_json(error)).dump()),
         {}, false);
}

void Server::send(std::uint64_t id, proto::Text body, std::vector<UniqueFd> descriptors,
                  bool oneway) {
    const auto it = sessions_.find(id);
    if (it == sessions_.end() || it->second->closing) return;
    Session& session = *it->second;
    session.busy = false;
    if (!oneway) {
        auto sent = session.connection.send_text(std::move(body), std::move(descriptors));
        if (!sent) return close(id, sent.error());
        if (auto flushed = session.connection.flush(); !flushed) return close(id, flushed.error());
    }
    update_events(session);
    if (session.calls.empty() && !session.more && !session.ended) return;
    // From the loop, so that a peer with many calls queued does not build up a stack here.
    if (auto later = loop_.defer([this, id] {
            if (const auto again = sessions_.find(id); again != sessions_.end())
                next_call(*again->second);
        }))
        session.later = std::move(*later);
}

void Server::update_events(Session& session) {
    std::uint32_t events = 0;
    if (!session.busy && session.calls.empty()) events |= EPOLLIN;
    if (session.connection.wants_write()) events |= EPOLLOUT;
    loop_.set_events(session.source, events);
}

// Later, from the loop: whoever noticed may be in the middle of something that the end of this
// connection changes (a list of requests that wait, a lease on its way).
void Server::close(std::uint64_t id, const std::optional<Error>& why) {
    const auto it = sessions_.find(id);
    if (it == sessions_.end() || it->second->closing) return;
    if (why && why->code != Code::lost)
        log(Level::notice, "closing the connection of uid {} (pid {}): {}", it->second->caller.uid,
            it->second->caller.process.pid, why->message());
    it->second->source.reset();
    auto closing = loop_.defer([this, id] {
        const auto node = sessions_.extract(id);
        if (node.empty()) return;
        const uid_t uid = node.mapped()->caller.uid;
        if (--per_user_[uid] == 0) per_user_.erase(uid);
        if (on_closed_) on_closed_(id);
    });
    if (closing) it->second->closing = std::move(*closing);
}

}  // namespace vfb::daemon
