// SPDX-License-Identifier: GPL-2.0-or-later
//
// The result of ADD (CNI specification 1.1.0, section 5), made of what the lease gave and what the
// IPAM plugin answered. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config.hpp"
#include "nic/guest_link.hpp"

namespace vfb::cni {

// What an IPAM plugin gave out, as it said it, and as it is put on the interface.
struct Addressing {
    proto::Json ips = proto::Json::array();
    proto::Json routes = proto::Json::array();
    proto::Json dns;  // null when it said nothing of it
    std::vector<nic::InterfaceAddress> addresses;
    // A route without a gateway goes by the one of its family's address, if that has one and the
    // route's scope lets it.
    std::vector<nic::Route> paths;
};

// Also of a result with interfaces: of `prevResult`.
Outcome<Addressing> read_addressing(const proto::Json& result);

struct Attachment {
    std::string ifname;
    std::string netns;
    std::string address;  // of the PCI function
    nic::GuestLink link;
};

// In the version of the configuration, and with its `dns`, if it has one.
proto::Json make_result(const Config& config, const Attachment& attachment,
                        const Addressing& addressing);

// The entry of `prevResult` for that interface in that namespace: its MAC address; nullopt: it has
// none.
std::optional<std::string> previous_mac(const proto::Json& previous, const std::string& ifname,
                                        const std::string& netns);

}  // namespace vfb::cni
