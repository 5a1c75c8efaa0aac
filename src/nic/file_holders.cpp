// SPDX-License-Identifier: GPL-2.0-or-later
#include "nic/file_holders.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/open_file.hpp"
#include "base/process.hpp"

namespace vfb::nic {
namespace {

constexpr std::string_view kSocket = "socket:[";
// In a container a node can have another path.
constexpr std::array<std::string_view, 3> kNodeNames{"uverbs", "umad", "issm"};

}  // namespace

FileHolders::FileHolders(const SysRoot& root, const std::vector<Network>& networks) : root_(root) {
    for (const auto& network : networks) {
        for (const auto& socket : network.sockets) sockets_[socket.inode];
        for (const auto& device : network.rdma)
            for (const dev_t node : device.nodes) nodes_[node];
    }
    sockets_.erase(0);  // of no process
}

const std::set<pid_t>& FileHolders::find(const Found& found, std::uint64_t key) {
    static const std::set<pid_t> none;
    const auto it = found.find(key);
    return it == found.end() ? none : it->second;
}

const std::set<pid_t>& FileHolders::of_socket(ino_t inode) {
    look_once();
    return find(sockets_, inode);
}

const std::set<pid_t>& FileHolders::of_node(dev_t number) {
    look_once();
    return find(nodes_, number);
}

std::string FileHolders::nobody() {
    look_once();
    if (hidden_ != 0)
        return fmt::format("one of {} processes that cannot be looked into without CAP_SYS_PTRACE",
                           hidden_);
    return "no process that can be seen here (the kernel, or another PID namespace)";
}

std::string FileHolders::describe(pid_t pid) const {
    return fmt::format("pid {} ({})", pid, process_name(root_.proc(), pid));
}

void FileHolders::look_once() {
    if (looked_) return;
    looked_ = true;
    const auto names = root_.proc().list();
    if (!names) return;
    for (const auto& name : *names)
        if (const auto pid = parse_number(name); pid && *pid > 0)
            look_into(static_cast<pid_t>(*pid));
}

// One that ends while it is looked at holds nothing.
void FileHolders::look_into(pid_t pid) {
    const auto process = root_.proc().open_dir(std::to_string(pid));
    if (!process) return;
    const auto descriptors = process->list("fd");
    if (!descriptors) {
        const int error = descriptors.error().errnum;
        if (error == EACCES || error == EPERM) ++hidden_;
        return;
    }
    for (const auto& fd : *descriptors) look_at(*process, fd, pid);
}

void FileHolders::look_at(const Dir& process, const std::string& fd, pid_t pid) {
    const auto target = process.read_link("fd/" + fd);
    if (!target) return;  // closed meanwhile
    if (target->starts_with(kSocket)) {
        const auto inode =
            parse_number(target->substr(kSocket.size(), target->size() - kSocket.size() - 1));
        const auto found =
            inode ? sockets_.find(static_cast<std::uint64_t>(*inode)) : sockets_.end();
        if (found != sockets_.end()) found->second.insert(pid);
        return;
    }
    // Only what may be a device is looked at: a file on a dead server must not hold this process
    // up.
    const bool named = std::ranges::any_of(
        kNodeNames, [&](std::string_view name) { return target->contains(name); });
    if (nodes_.empty() || (!named && !target->starts_with(root_.dev().path() + "/"))) return;
    const auto number = device_number(process.fd(), "fd/" + fd);
    const auto found = number ? nodes_.find(*number) : nodes_.end();
    if (found != nodes_.end() && !only_names_it(process, fd)) found->second.insert(pid);
}

}  // namespace vfb::nic
