// SPDX-License-Identifier: GPL-2.0-or-later
//
// Network: the links, addresses, routes, bound sockets and RDMA devices of one network namespace,
// by rtnetlink (Documentation/networking/netlink_spec, rt_link and rt_addr), sock_diag(7) and RDMA
// netlink. Plain values, read in one go: what changes meanwhile is seen at the next reading.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/sys_root.hpp"

namespace vfb::nic {

struct HostLink {
    int ifindex = 0;
    std::string name;
    std::string kind;         // `bond`, `bridge`, `vlan`, ...; empty for hardware
    std::string pci_address;  // of the function it belongs to, where the kernel says so (5.14)
    int master = 0;           // ifindex of the bond, bridge, ... that it is a member of
    int lower = 0;            // ifindex of what a VLAN, macvlan, ... stands on
    std::optional<int> lower_namespace;  // where that is, if elsewhere: an id of this namespace
    bool up = false;                     // IFF_UP
    bool xdp = false;                    // an XDP program is attached
    bool operator==(const HostLink&) const = default;
};

struct HostAddress {
    int ifindex = 0;
    std::string text;        // `192.0.2.1/24`
    bool automatic = false;  // made by the kernel on every link that is up
    bool operator==(const HostAddress&) const = default;
};

struct HostRoute {
    std::vector<int> ifindexes;  // of all its next hops
    std::string destination;     // `10.0.0.0/8`; empty: the default route
    bool automatic = false;      // the kernel's own, of an address or a link
    bool operator==(const HostRoute&) const = default;
};

struct BoundSocket {
    int ifindex = 0;
    std::string kind;  // `TCP`, `UDP`, `packet`, `AF_XDP`
    ino_t inode = 0;   // as descriptors show it; 0: of no process any more
    bool operator==(const BoundSocket&) const = default;
};

// Who has objects of an RDMA device, by the kernel's own accounts.
struct RdmaUser {
    pid_t pid = 0;                       // 0: the kernel, or a process that cannot be seen here
    std::string kernel_name;             // `nvme_rdma`; empty: a process
    std::map<std::string, int> objects;  // how many: `QP` -> 1
    bool operator==(const RdmaUser&) const = default;
};

struct RdmaDevice {
    std::string name;         // `mlx5_0`, `rxe0`
    std::string pci_address;  // of the function that it is part of; empty: of none that is known
    std::set<int> ifindexes;  // then: of the links in this namespace that it stands on
    std::set<dev_t> nodes;    // its uverbsN, umadN and issmN in /dev/infiniband
    std::vector<RdmaUser> users;
};

struct Network {
    std::string name;  // `` for ours, else a name in /run/netns or `process 123 (name)`
    // What this namespace calls ours, if it has ever had to do with it.
    std::optional<int> our_id;
    std::vector<HostLink> links;
    std::vector<HostAddress> addresses;
    std::vector<HostRoute> routes;
    std::vector<BoundSocket> sockets;
    std::vector<RdmaDevice> rdma;
};

// The namespace of the calling thread, without RDMA devices.
Result<Network> read_network();
// Ours first, then those that a process is in or that have a name. Needs CAP_SYS_ADMIN for the
// others; one that ends meanwhile is left out. Enters them in a thread of its own. `functions`: the
// PCI addresses of interest; RDMA devices that are part of others are left out, and each of the
// rest stands in one namespace.
Result<std::vector<Network>> read_networks(const SysRoot& root,
                                           const std::set<std::string>& functions);

// The link by which packets to `address` (IPv4 or IPv6, as text) leave the calling thread's
// namespace. Code::not_found when there is no route, Code::invalid when it is no address.
Result<int> link_to(const std::string& address);

}  // namespace vfb::nic
