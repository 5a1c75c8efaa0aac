// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the handles of the C ABI are, and how results become codes.
#pragma once

#include <cstdint>
#include <new>
#include <string>

#include "client/client.hpp"
#include "client/lease.hpp"
#include "client/lease_watch.hpp"
#include "lease_start.hpp"
#include "vfbroker/vfbroker.h"

struct vfb_error {
    vfb_code code;
    std::string message;
    std::string hint;
};

struct vfb_connection {
    vfb::client::Client client;
    vfb::client::LeaseWatch watch;
    vfb::UniqueFd epoll;  // of all descriptors that the two wait for
    vfb::client::LeaseStart lease;
};

struct vfb_event {
    vfb::client::LeaseEvent event;
};

struct vfb_lease_handle {
    vfb::client::Lease lease;
};

namespace vfb::client {

// The error's code; the error itself in `*out`, when out is not null.
vfb_code report(const Error& error, vfb_error** out);

// What the options ask for; `given` may be null.
Result<LeaseRequest> request_of(const char* pool, const vfb_lease_options* given);
// An id or generation as the wire has it: one that it cannot be is that of no lease.
Result<std::int64_t> wire_number(std::uint64_t number, const char* operation);

// Makes the connection's epoll wait for what the connection waits for now.
Result<> update_poll(vfb_connection& connection);

// Runs `body`, which returns a Result<>. No exception enters C.
template <class Body>
vfb_code guarded(vfb_error** out, Body body) {
    if (out != nullptr) *out = nullptr;
    try {
        const Result<> done = body();
        return done ? VFB_OK : report(done.error(), out);
    } catch (const std::bad_alloc&) {
        return VFB_EXHAUSTED;
    } catch (...) {
        return VFB_FAILED;
    }
}

}  // namespace vfb::client
