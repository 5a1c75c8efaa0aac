// SPDX-License-Identifier: GPL-2.0-or-later
//
// RDMA devices and who uses them, by RDMA netlink (uapi/rdma/rdma_netlink.h), as rdma(8) shows
// them.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/sys_root.hpp"
#include "nic/network.hpp"

struct nlmsghdr;

namespace vfb::nic {

// A kind of object that the kernel tracks for its users.
struct RdmaKind {
    std::uint32_t command = 0;  // RDMA_NLDEV_CMD_RES_..._GET
    int list = 0;               // RDMA_NLDEV_ATTR_RES_...
    int entry = 0;              // RDMA_NLDEV_ATTR_RES_..._ENTRY
    const char* name = "";
};
std::span<const RdmaKind> rdma_kinds();

// Adds the users of one answer to a dump of that kind. Left out: what the kernel makes for every
// device by itself, and those who listen at all addresses, which is no use of one device.
void add_rdma_users(nlmsghdr* message, const RdmaKind& kind, std::vector<RdmaUser>& users);

// The PCI function in a path below /sys/devices; empty: none, it is a virtual device.
std::string pci_address_in(const std::string& path);

// Reads namespace after namespace, each device once: in the default mode all of them show it.
class RdmaReader {
public:
    // `functions`: PCI addresses. What is part of others is left out.
    RdmaReader(const SysRoot& root, const std::set<std::string>& functions);

    // Of the calling thread's namespace, whose links `network` has: devices that are part of one of
    // the functions, or stand on one of the links. None where the kernel has no RDMA.
    Result<> read(Network& network);

private:
    struct Nodes {
        std::string pci_address;
        std::set<dev_t> numbers;
    };
    void read_nodes(const char* node_class);
    [[nodiscard]] std::string pci_address_of(const std::string& name) const;
    // Whether it is wanted, and where it belongs to.
    Result<bool> place(std::uint32_t index, RdmaDevice& device);

    const SysRoot& root_;
    const std::set<std::string>& functions_;
    bool present_ = false;
    std::map<std::string, Nodes> nodes_;  // by the name of the RDMA device
    std::set<std::string> placed_;        // names of devices
};

}  // namespace vfb::nic
