// SPDX-License-Identifier: GPL-2.0-or-later
//
// FunctionReader: one function, from its folder in sysfs and its configuration space.
// One thread at a time.
#pragma once

#include <optional>
#include <vector>

#include "base/sys_root.hpp"
#include "config_space.hpp"
#include "netdevs.hpp"
#include "pci/function.hpp"
#include "pci/inventory.hpp"
#include "sysfs.hpp"

namespace vfb::pci {

// All of a function but its names, its slot and its index as a VF, for which more than its own
// folder is needed.
struct Reading {
    Function function;
    std::vector<VirtualFunction> vfs;  // of a PF
};

class FunctionReader {
public:
    // `host`: whether ioctl(2) may be used, see NetdevReader.
    explicit FunctionReader(bool host) : netdevs_(host) {}

    // nullopt: the function is not there, or is just being created or removed, so that what would
    // be read of it is not what it is; or a problem says why it could not be read.
    std::optional<Reading> read(const Dir& devices, const Address& address,
                                std::vector<ReadProblem>& problems);

private:
    void read_sriov(const Dir& devices, FunctionDir& dir, const ConfigSpace* config,
                    std::vector<Bar> vf_bars, Reading& reading);

    FunctionDir::Buffer buffer_{};
    NetdevReader netdevs_;
};

}  // namespace vfb::pci
