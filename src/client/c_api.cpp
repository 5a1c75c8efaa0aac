// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C ABI: connection, errors. lease_api.cpp has the leases.
#include "c_api.hpp"

#include <sys/epoll.h>

#include <cerrno>
#include <limits>
#include <memory>

namespace {

using vfb::Code;

constexpr vfb_code code_of(Code code) {
    switch (code) {
        case Code::failed:
            return VFB_FAILED;
        case Code::invalid:
            return VFB_INVALID;
        case Code::denied:
            return VFB_DENIED;
        case Code::not_found:
            return VFB_NOT_FOUND;
        case Code::busy:
            return VFB_BUSY;
        case Code::timeout:
            return VFB_TIMEOUT;
        case Code::not_running:
            return VFB_NOT_RUNNING;
        case Code::unsupported:
            return VFB_UNSUPPORTED;
        case Code::not_viable:
            return VFB_NOT_VIABLE;
        case Code::exhausted:
            return VFB_EXHAUSTED;
        case Code::lost:
            return VFB_LOST;
        case Code::stuck:
            return VFB_STUCK;
        case Code::protocol:
            return VFB_PROTOCOL;
    }
    return VFB_FAILED;
}

}  // namespace

vfb::Result<std::int64_t> vfb::client::wire_number(std::uint64_t number, const char* operation) {
    if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        return vfb::fail(Code::not_found, operation, {}, "there is no such lease");
    return static_cast<std::int64_t>(number);
}

vfb_code vfb::client::report(const Error& error, vfb_error** out) {
    const vfb_code code = code_of(error.code);
    if (out != nullptr)
        *out = new vfb_error{.code = code, .message = error.message(), .hint = error.hint};
    return code;
}

extern "C" {

const char* vfb_version(void) {
    return VFB_VERSION;
}

vfb_code vfb_error_code(const vfb_error* error) {
    return error->code;
}
const char* vfb_error_message(const vfb_error* error) {
    return error->message.c_str();
}
const char* vfb_error_hint(const vfb_error* error) {
    return error->hint.c_str();
}
void vfb_error_free(vfb_error* error) {
    delete error;
}

vfb_code vfb_connect(const char* path, vfb_connection** connection, vfb_error** error) {
    return vfb::client::guarded(error, [&]() -> vfb::Result<> {
        const std::string where = path == nullptr ? std::string(vfb::proto::kSocketPath) : path;
        VFB_TRY(auto client, vfb::client::Client::connect(where));
        auto made = std::make_unique<vfb_connection>(
            vfb_connection{.client = std::move(client),
                           .watch = vfb::client::LeaseWatch(where),
                           .epoll = vfb::UniqueFd(::epoll_create1(EPOLL_CLOEXEC)),
                           .lease = {}});
        if (!made->epoll) return vfb::fail_errno(errno, "wait for vfbrokerd", where);
        VFB_CHECK(vfb::client::update_poll(*made));
        *connection = made.release();
        return {};
    });
}

void vfb_close(vfb_connection* connection) {
    if (connection == nullptr) return;
    vfb::client::guarded(nullptr, [&]() -> vfb::Result<> {
        connection->lease.give_up(connection->client);
        return {};
    });
    delete connection;
}
int vfb_fd(const vfb_connection* connection) {
    return connection->client.fd();
}

}  // extern "C"
