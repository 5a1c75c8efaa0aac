// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C ABI: event loops.
#include <sys/epoll.h>

#include <cerrno>

#include "c_api.hpp"

namespace {

using vfb::Code;
using vfb::Result;

// `fd` may be a descriptor that epoll knows, one that it does not, or -1.
Result<> wait_for(const vfb::UniqueFd& epoll, int fd, bool write) {
    if (fd < 0) return {};
    epoll_event event{};
    event.events = write ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.fd = fd;
    if (::epoll_ctl(epoll.get(), EPOLL_CTL_MOD, fd, &event) == 0) return {};
    // What was closed went from the set by itself, also when its number is in use again.
    if (errno == ENOENT && ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
    return vfb::fail_errno(errno, "wait for vfbrokerd", {});
}

// Of the connection itself: the answer to vfb_lease_start(), or its end.
Result<> advance(vfb_connection& connection) {
    auto reply = connection.client.advance();
    if (!reply) {
        connection.lease.take(connection.client, std::unexpected(reply.error()));
        if (connection.client.hung_up()) return std::unexpected(std::move(reply).error());
    } else if (reply->has_value()) {
        connection.lease.take(connection.client, std::move(**reply));
    }
    return {};
}

vfb_lease_event type_of(vfb::client::LeaseEvent::Type type) {
    using Type = vfb::client::LeaseEvent::Type;
    switch (type) {
        case Type::lost:
            return VFB_LEASE_LOST;
        case Type::wanted:
            return VFB_LEASE_WANTED;
        case Type::unwanted:
            return VFB_LEASE_UNWANTED;
        case Type::ended:
            break;
    }
    return VFB_LEASE_ENDED;
}

}  // namespace

Result<> vfb::client::update_poll(vfb_connection& connection) {
    VFB_CHECK(wait_for(connection.epoll, connection.client.fd(), connection.client.wants_write()));
    VFB_CHECK(wait_for(connection.epoll, connection.watch.fd(), connection.watch.wants_write()));
    return wait_for(connection.epoll, connection.watch.retry_timer(), false);
}

extern "C" {

int vfb_poll_fd(const vfb_connection* connection) {
    return connection->epoll.get();
}

vfb_code vfb_dispatch(vfb_connection* connection, vfb_error** error) {
    return vfb::client::guarded(error, [&]() -> Result<> {
        const auto watched = connection->watch.dispatch();
        VFB_CHECK(advance(*connection));
        VFB_CHECK(vfb::client::update_poll(*connection));
        return watched;
    });
}

vfb_code vfb_lease_start(vfb_connection* connection, const char* pool,
                         const vfb_lease_options* options, vfb_error** error) {
    return vfb::client::guarded(error, [&]() -> Result<> {
        if (connection->lease.under_way())
            return vfb::fail(Code::busy, "lease", {},
                             "the result of the last vfb_lease_start() was not fetched",
                             "vfb_lease_result()");
        VFB_TRY(auto request, vfb::client::request_of(pool, options));
        VFB_CHECK(connection->lease.begin(connection->client, std::move(request)));
        return vfb::client::update_poll(*connection);
    });
}

vfb_code vfb_lease_result(vfb_connection* connection, vfb_lease_handle** lease, vfb_error** error) {
    if (connection->lease.under_way() && !connection->lease.has_result()) {
        if (error != nullptr) *error = nullptr;
        return VFB_PENDING;
    }
    return vfb::client::guarded(error, [&]() -> Result<> {
        if (!connection->lease.under_way())
            return vfb::fail(Code::invalid, "get a lease", {}, "vfb_lease_start() was not called");
        VFB_TRY(auto granted, connection->lease.fetch());
        *lease = new vfb_lease_handle{std::move(granted)};
        return {};
    });
}

vfb_code vfb_watch(vfb_connection* connection, uint64_t id, uint64_t generation,
                   vfb_error** error) {
    return vfb::client::guarded(error, [&]() -> Result<> {
        VFB_TRY(const auto lease, vfb::client::wire_number(id, "watch a lease"));
        VFB_TRY(const auto of, vfb::client::wire_number(generation, "watch a lease"));
        VFB_CHECK(connection->watch.add(lease, of));
        return vfb::client::update_poll(*connection);
    });
}

vfb_event* vfb_next_event(vfb_connection* connection) {
    auto event = connection->watch.next();
    return event ? new (std::nothrow) vfb_event{std::move(*event)} : nullptr;
}

vfb_lease_event vfb_event_type(const vfb_event* event) {
    return type_of(event->event.type);
}
uint64_t vfb_event_lease(const vfb_event* event) {
    return static_cast<uint64_t>(event->event.lease);
}
uint64_t vfb_event_generation(const vfb_event* event) {
    return static_cast<uint64_t>(event->event.generation);
}
const char* vfb_event_address(const vfb_event* event) {
    const auto& function = event->event.function;
    return function.empty() ? nullptr : function.c_str();
}
const char* vfb_event_reason(const vfb_event* event) {
    return event->event.reason.c_str();
}
void vfb_event_free(vfb_event* event) {
    delete event;
}

}  // extern "C"
