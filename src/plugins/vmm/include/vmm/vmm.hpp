// SPDX-License-Identifier: GPL-2.0-or-later
//
// Vmm: a running VMM that takes functions of a lease while its guest runs, and gives them back.
//
// Each device is named after its lease, so that what an earlier call did, or half did, is found
// again by another process. Blocking, each call with a deadline; one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/process.hpp"
#include "client/lease.hpp"

namespace vfb::vmm {

// A lease's devices by number alone: what detach and rescue know of it.
struct Plugged {
    std::int64_t lease = 0;
    std::size_t count = 0;
};

// `vfbroker12-0`: the id of a device in the VMM.
std::string device_id(std::int64_t lease, std::size_t index);

class Vmm {
public:
    Vmm() = default;
    Vmm(const Vmm&) = delete;
    Vmm& operator=(const Vmm&) = delete;
    virtual ~Vmm() = default;

    // Who answers at the socket, by the kernel.
    [[nodiscard]] virtual const ProcessId& process() const = 0;
    // Guest memory that will be pinned, in bytes, `more` devices of the lease included.
    virtual Result<std::uint64_t> pinned_memory(std::size_t more) = 0;
    // All of the lease's functions; `options` are KEY=VALUE for each. What was done before an error
    // is not undone: see unplug().
    virtual Result<> plug(const client::Lease& lease, const std::vector<std::string>& options) = 0;
    // Whether the guest has all of them.
    virtual Result<bool> has(const Plugged& plugged) = 0;
    // Takes away whatever of them is there, half of a plug() included, and returns once the VMM has
    // closed the devices. Code::timeout when the guest does not let go.
    virtual Result<> unplug(const Plugged& plugged, std::chrono::milliseconds timeout) = 0;
};

}  // namespace vfb::vmm
