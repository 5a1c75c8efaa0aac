// SPDX-License-Identifier: GPL-2.0-or-later
//
// The network devices of a function (Documentation/ABI/testing/sysfs-class-net).
#pragma once

#include <vector>

#include "base/unique_fd.hpp"
#include "pci/function.hpp"
#include "sysfs.hpp"

namespace vfb::pci {

class NetdevReader {
public:
    // `host`: the running kernel, which is asked for permanent addresses by ioctl(2).
    explicit NetdevReader(bool host) : host_(host) {}

    // In order of name; empty when the function has none. `virtio`: its netdev belongs to a device
    // of the virtio bus below the function.
    std::vector<Netdev> read(FunctionDir& function, bool virtio);

private:
    std::vector<Netdev> read_folder(FunctionDir& function, const std::string& folder);
    // nullopt: it vanished or was renamed while it was read.
    std::optional<Netdev> read_one(FunctionDir& function, const std::string& folder,
                                   const std::string& name);
    std::string permanent_mac(const std::string& name);

    bool host_;
    UniqueFd socket_;  // opened when first needed
};

}  // namespace vfb::pci
