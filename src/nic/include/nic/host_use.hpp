// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the host uses a function's network devices for: the reasons not to take them from it.
// Made of what network.hpp read.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/use.hpp"
#include "nic/file_holders.hpp"
#include "nic/network.hpp"

namespace vfb::nic {

// Kinds of use:
//   namespace      its interface is in another network namespace
//   member         a bond, bridge, team, VRF or Open vSwitch has it
//   upper          a VLAN, macvlan or the like stands on it
//   address        it, or what stands on it, has an address
//   route          a route leaves by it
//   default-route  the default route does
//   ssh            the SSH session of whoever asks comes in by it
//   socket         a socket is bound to it (SO_BINDTODEVICE, AF_PACKET)
//   xdp            an XDP program or AF_XDP socket is on it
//   rdma           a process or a module of the kernel uses its RDMA device, or a soft one (rxe,
//   siw)
//                  on its interface
// Of the links that belong to the function at `pci_address`, or have one of the `names` in our
// namespace (kernels before 5.14 do not say whose a link is). `networks` has ours first; `holders`
// are those of its sockets and RDMA devices.
// `ssh_client`: where the caller's session comes from, if it is one; `ssh_link`: the link of ours
// by which packets go back there.
std::vector<Use> uses_of(const std::vector<Network>& networks, FileHolders& holders,
                         const std::string& pci_address, const std::set<std::string>& names,
                         const std::string& ssh_client = {}, int ssh_link = 0);

}  // namespace vfb::nic
