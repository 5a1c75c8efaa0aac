// SPDX-License-Identifier: GPL-2.0-or-later
//
// Uevents: the kernel's own announcements (netlink NETLINK_KOBJECT_UEVENT, group 1; not udev's, so
// that it works before and without udev). Subscribe before enumerating.
// One thread at a time. Documentation: lib/kobject_uevent.c, uapi/linux/netlink.h.
#pragma once

#include <optional>
#include <string>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "pci/address.hpp"

namespace vfb::pci {

struct Uevent {
    // A new VF is announced by `add`, and by `change` when the links between it and its PF are
    // made.
    enum class Kind { add, remove, change, bind, unbind, other, overrun };
    Kind kind = Kind::other;
    std::string subsystem;           // `pci`, `net`, `vfio-dev`, `block`, ...
    std::string path;                // DEVPATH
    std::optional<Address> address;  // the PCI function it belongs to (deepest one in `path`)
    std::string driver;              // DRIVER of bind/unbind events
    std::string interface;           // INTERFACE of subsystem `net`
};

class UeventMonitor {
public:
    // Receive buffer enlarged, so that 256 VFs at once do not overrun it (needs CAP_NET_ADMIN;
    // without it the default size stays).
    static Result<UeventMonitor> open();

    // For poll(2) or sd-event: readable when next() has something.
    [[nodiscard]] int fd() const { return fd_.get(); }
    // Never blocks; nullopt when there is nothing now. Messages that do not come from the kernel
    // are dropped. Kind::overrun says that events were lost: read everything again.
    Result<std::optional<Uevent>> next();
    // Waits until an event is there or the deadline passes (nullopt).
    Result<std::optional<Uevent>> wait(const Deadline& deadline);

private:
    explicit UeventMonitor(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

// Exposed for tests: one datagram as the kernel sends it (`add@/devices/...\0KEY=value\0...`).
std::optional<Uevent> parse_uevent(std::string_view datagram);

}  // namespace vfb::pci
