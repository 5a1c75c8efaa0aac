// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C ABI: connection, errors. lease_api.cpp has the leases.
#include "c_api.hpp"

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
        VFB_TRY(auto client, path == nullptr ? vfb::client::Client::connect()
                                             : vfb::client::Client::connect(path));
        *connection = new vfb_connection{std::move(client)};
        return {};
    });
}

void vfb_close(vfb_connection* connection) {
    delete connection;
}
int vfb_fd(const vfb_connection* connection) {
    return connection->client.fd();
}

}  // extern "C"
