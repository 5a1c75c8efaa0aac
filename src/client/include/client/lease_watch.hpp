// SPDX-License-Identifier: LGPL-2.1-or-later
//
// LeaseWatch: what happens to leases, for event loops, by a connection of its own: vfbrokerd
// answers WatchLeases for as long as there is something to watch. Never blocks; one thread at a
// time.
//
// When that connection ends, as it does when vfbrokerd is started again, it is made anew, and
// nothing is told twice.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "client/client.hpp"

namespace vfb::client {

struct LeaseEvent {
    enum class Type {
        lost,      // `function` was removed from the machine under the lease
        wanted,    // it is asked to be returned; why is in `reason`
        unwanted,  // it is not any more
        ended,     // it has ended; how is in `reason`
    };
    Type type = Type::lost;
    std::int64_t lease = 0;
    std::int64_t generation = 0;
    std::string function;
    std::string reason;
};

class LeaseWatch {
public:
    // `path` as of Client::connect().
    explicit LeaseWatch(std::string path) : path_(std::move(path)) {}

    // What has happened already is told as well. Not possible: as Client::connect_now().
    Result<> add(std::int64_t lease, std::int64_t generation);
    // What was not fetched yet of that lease is dropped.
    void remove(std::int64_t lease);
    // Reads what has come, and connects again where that failed before. An Error, after which
    // nothing is watched: vfbrokerd cannot do it.
    Result<> dispatch();
    std::optional<LeaseEvent> next();

    // Descriptors to poll for reading; -1 where there is nothing to wait for. The connection's
    // changes.
    [[nodiscard]] int fd() const { return client_ ? client_->fd() : -1; }
    [[nodiscard]] bool wants_write() const { return client_ && client_->wants_write(); }
    [[nodiscard]] int retry_timer() const { return timer_.get(); }

private:
    struct Known {
        std::int64_t generation = 0;
        std::set<std::string> lost;
        bool wanted = false;
    };
    Result<> connect();
    Result<> connect_later();
    Result<> read(const proto::Json& parameters);
    Result<> read_state(const proto::Json& state);

    std::string path_;
    std::optional<Client> client_;
    UniqueFd timer_;
    std::map<std::int64_t, Known> watched_;
    std::deque<LeaseEvent> events_;
};

}  // namespace vfb::client
