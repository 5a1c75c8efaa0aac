// SPDX-License-Identifier: GPL-2.0-or-later
//
// FdStore: systemd keeps owners' connections and pidfds over a restart of the daemon
// (sd_notify(3) FDSTORE). VFIO descriptors are never stored: the kernel's last close must mean that
// the guest is gone. Without systemd every call does nothing.
#pragma once

#include <map>
#include <string>

#include "base/unique_fd.hpp"
#include "broker/model.hpp"

namespace vfb::daemon {

class FdStore {
public:
    // Takes what systemd passed: the listening socket and the stored descriptors.
    FdStore();

    // The socket of vfbrokerd.socket, if the unit was activated by it.
    [[nodiscard]] UniqueFd take_listener() { return std::move(listener_); }
    // A descriptor stored under this name by an earlier daemon; each can be taken once.
    [[nodiscard]] UniqueFd take(const std::string& name);

    void put(const std::string& name, int fd) const;
    void remove(const std::string& name) const;

    // A descriptor is kept once: all leases of one connection share its name (Owner::connection).
    static std::string connection_name(broker::LeaseId connection);
    static std::string process_name(broker::LeaseId lease);

private:
    UniqueFd listener_;
    std::map<std::string, UniqueFd> stored_;
};

}  // namespace vfb::daemon
