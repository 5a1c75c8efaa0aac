// SPDX-License-Identifier: GPL-2.0-or-later
//
// Server: the listening socket and its connections. Each connection has one call under way at a
// time and is not read meanwhile, so that replies come in order and a busy peer waits for itself.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "broker/model.hpp"
#include "event_loop.hpp"
#include "proto/connection.hpp"

namespace vfb::daemon {

// One call, to be answered exactly once, now or later.
struct Request {
    std::uint64_t session = 0;
    int connection_fd = -1;
    broker::Caller caller;
    proto::Call call;
    // Body of the reply (make_reply, make_error, or serialised) and its descriptors.
    std::function<void(proto::Text body, std::vector<UniqueFd> descriptors)> reply;
    // Before the reply, any number of times; empty unless the caller asked for more (varlink).
    // False: the caller has not read what it was sent before, and on_flushed() tells when it has.
    std::function<bool(proto::Text body)> progress;
    // Is told of the error when the call is refused, before the reply; may be empty.
    std::function<void(const Error&)> refused{};
};

class Server {
public:
    Server(EventLoop& loop, const SysRoot& root);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    using Handler = std::function<void(Request)>;
    void on_request(Handler handler) { handler_ = std::move(handler); }
    void on_closed(std::function<void(std::uint64_t session)> callback) {
        on_closed_ = std::move(callback);
    }

    // The group whose members administer, for connections from now on.
    void set_administrators(std::optional<gid_t> group) { administrators_ = group; }

    // A peer that had not read has read everything.
    void on_flushed(std::function<void()> callback) { on_flushed_ = std::move(callback); }

    // Makes the socket, or takes the one that systemd made.
    Result<> listen(const std::string& path, UniqueFd activated);
    // A connection that systemd kept over a restart; nullopt when its peer is gone.
    std::optional<std::uint64_t> adopt(UniqueFd socket);
    // Answers a call that an earlier daemon read from an adopted connection.
    void refuse(std::uint64_t session, const Error& error);

private:
    struct Session;
    void accept();
    // Room for one more connection of that user.
    [[nodiscard]] Result<> check_room(uid_t uid) const;
    Result<std::uint64_t> add(UniqueFd socket);
    void on_io(std::uint64_t id, std::uint32_t events);
    void next_call(Session& session);
    bool send_progress(std::uint64_t id, proto::Text body);
    void send(std::uint64_t id, proto::Text body, std::vector<UniqueFd> descriptors, bool oneway);
    void update_events(Session& session);
    void close(std::uint64_t id, const std::optional<Error>& why);

    EventLoop& loop_;
    const SysRoot& root_;
    UniqueFd listener_;
    Source source_;
    std::string path_;  // to be removed at the end, if we made it
    std::uint64_t next_session_ = 1;
    std::map<std::uint64_t, std::unique_ptr<Session>> sessions_;
    std::map<uid_t, unsigned> per_user_;
    std::optional<gid_t> administrators_;
    Handler handler_;
    std::function<void(std::uint64_t)> on_closed_;
    std::function<void()> on_flushed_;
};

}  // namespace vfb::daemon
