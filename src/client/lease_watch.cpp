// SPDX-License-Identifier: LGPL-2.1-or-later
#include "client/lease_watch.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "answers.hpp"

namespace vfb::client {
namespace {

using proto::Json;
using Type = LeaseEvent::Type;

// Until vfbrokerd is back: its socket is there all the time if systemd listens for it.
constexpr itimerspec kRetry{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_nsec = 200'000'000}};

// "" for a member that is null or absent.
Result<std::string> text_or_none(const Json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) return std::string();
    return text(object, name);
}

}  // namespace

Result<> LeaseWatch::add(std::int64_t lease, std::int64_t generation) {
    watched_.insert_or_assign(lease, Known{.generation = generation, .lost = {}, .wanted = false});
    if (auto connected = connect(); !connected) {
        watched_.erase(lease);
        return connected;
    }
    return {};
}

void LeaseWatch::remove(std::int64_t lease) {
    watched_.erase(lease);
    std::erase_if(events_, [lease](const LeaseEvent& event) { return event.lease == lease; });
    if (!watched_.empty()) return;
    client_.reset();
    timer_.reset();
}

// All that is watched is asked for again: a call cannot be changed.
Result<> LeaseWatch::connect() {
    VFB_TRY(auto client, Client::connect_now(path_));
    Json leases = Json::array();
    for (const auto& [id, known] : watched_)
        leases.push_back({{"lease", id}, {"generation", known.generation}});
    VFB_CHECK(client.start("WatchLeases", {{"leases", std::move(leases)}}, true));
    client_ = std::move(client);
    timer_.reset();
    return {};
}

Result<> LeaseWatch::connect_later() {
    client_.reset();
    timer_ = UniqueFd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!timer_ || ::timerfd_settime(timer_.get(), 0, &kRetry, nullptr) != 0)
        return fail_errno(errno, "watch leases", {});
    return {};
}

Result<> LeaseWatch::dispatch() {
    std::uint64_t expired = 0;
    if (timer_ && ::read(timer_.get(), &expired, sizeof expired) == sizeof expired)
        if (!connect()) return connect_later();
    while (client_ && !watched_.empty()) {
        auto reply = client_->advance();
        if (!reply && reply.error().code == Code::lost && client_->hung_up())
            return connect_later();
        Result<> read_it;
        if (!reply)
            read_it = std::unexpected(std::move(reply).error());
        else if (!*reply)
            return {};
        else
            read_it = read((*reply)->parameters);
        if (!read_it) {
            watched_.clear();
            client_.reset();
            return read_it;
        }
    }
    if (watched_.empty()) client_.reset();
    return {};
}

std::optional<LeaseEvent> LeaseWatch::next() {
    if (events_.empty()) return std::nullopt;
    auto event = std::move(events_.front());
    events_.pop_front();
    return event;
}

Result<> LeaseWatch::read(const Json& parameters) {
    VFB_TRY(const Json* states, array(parameters, "leases"));
    for (const Json& state : *states) {
        if (!state.is_object()) return unusable("the state of a lease is no object");
        VFB_CHECK(read_state(state));
    }
    return {};
}

Result<> LeaseWatch::read_state(const Json& state) {
    VFB_TRY(const auto id, number(state, "lease"));
    const auto found = watched_.find(id);
    if (found == watched_.end()) return {};
    Known& known = found->second;
    const auto tell = [&](Type type, std::string function, std::string reason) {
        events_.push_back({.type = type,
                           .lease = id,
                           .generation = known.generation,
                           .function = std::move(function),
                           .reason = std::move(reason)});
    };
    VFB_TRY(const Json* lost, array(state, "lost"));
    for (const Json& address : *lost) {
        if (!address.is_string()) return unusable("an address is no text");
        const auto text = address.get<std::string>();
        if (known.lost.insert(text).second) tell(Type::lost, text, {});
    }
    VFB_TRY(auto reason, text_or_none(state, "returnReason"));
    VFB_TRY(auto ended, text_or_none(state, "ended"));
    if (!ended.empty()) {
        tell(Type::ended, {}, std::move(ended));
        watched_.erase(found);
        return {};
    }
    if (const bool wanted = !reason.empty(); std::exchange(known.wanted, wanted) != wanted)
        tell(wanted ? Type::wanted : Type::unwanted, {}, std::move(reason));
    return {};
}

}  // namespace vfb::client
