// SPDX-License-Identifier: GPL-2.0-or-later
//
// FileHolders: which processes have the sockets and RDMA device nodes open that read_networks()
// found. One pass over /proc/PID/fd, made when the first is asked for: most functions have none.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/sys_root.hpp"
#include "nic/network.hpp"

namespace vfb::nic {

class FileHolders {
public:
    FileHolders(const SysRoot& root, const std::vector<Network>& networks);

    // Their pids, as this process sees them. Empty when it can see none.
    const std::set<pid_t>& of_socket(ino_t inode);
    const std::set<pid_t>& of_node(dev_t number);
    // Why none may have been found: completes "it is held by ...".
    std::string nobody();
    // `pid 812 (dhclient)`
    [[nodiscard]] std::string describe(pid_t pid) const;

private:
    using Found = std::map<std::uint64_t, std::set<pid_t>>;

    void look_once();
    void look_into(pid_t pid);
    void look_at(const Dir& process, const std::string& fd, pid_t pid);
    static const std::set<pid_t>& find(const Found& found, std::uint64_t key);

    const SysRoot& root_;
    Found sockets_;  // those that are looked for; empty sets at first
    Found nodes_;    // likewise
    bool looked_ = false;
    unsigned hidden_ = 0;  // processes that this one may not look into
};

}  // namespace vfb::nic
