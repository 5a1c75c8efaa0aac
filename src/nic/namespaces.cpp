// SPDX-License-Identifier: GPL-2.0-or-later
//
// The networks of all namespaces (network_namespaces(7)).
#include "namespaces.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/net_namespace.h>
#include <linux/nsfs.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <thread>

#include "dump.hpp"
#include "nic/network.hpp"
#include "rdma.hpp"

namespace vfb::nic {
namespace {

// In the mounts of the host: those of a service are a copy that later ones may not reach.
constexpr const char* kNamed = "1/root/run/netns";

struct Namespace {
    UniqueFd fd;
    std::string name;
};

std::optional<ino_t> inode_of(int fd) {
    struct stat status{};
    if (::fstat(fd, &status) != 0) return std::nullopt;
    return status.st_ino;
}

// A name that outlived its namespace is an empty file.
bool is_network_namespace(int fd) {
    return ::ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET;
}

bool is_number(const std::string& text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// Every namespace once; the names that people gave come before those of processes.
Result<std::vector<Namespace>> find_namespaces(const SysRoot& root, std::set<ino_t>& seen) {
    std::vector<Namespace> found;
    const auto add = [&](Result<UniqueFd> fd, const auto& name) {
        if (!fd || !is_network_namespace(fd->get())) return;
        const auto inode = inode_of(fd->get());
        if (inode && seen.insert(*inode).second)
            found.push_back({.fd = std::move(*fd), .name = name()});
    };
    if (const auto named = root.proc().open_dir(kNamed)) {
        VFB_TRY(const auto names, named->list());
        for (const auto& name : names) add(named->open_file(name, O_RDONLY), [&] { return name; });
    }
    VFB_TRY(const auto processes, root.proc().list());
    for (const auto& pid : processes) {
        if (!is_number(pid)) continue;
        add(root.proc().open_file(pid + "/ns/net", O_RDONLY), [&] {
            const auto comm = root.proc().read(pid + "/comm");
            return fmt::format("process {} ({})", pid, comm ? *comm : "ended");
        });
    }
    return found;
}

// What the calling thread's namespace calls the one of `fd`; nullopt: nothing yet.
std::optional<int> id_of(int fd) {
    struct Request {
        rtgenmsg header{};
        std::array<char, 3> pad{};
        nlattr attribute{.nla_len = NLA_HDRLEN + 4, .nla_type = NETNSA_FD};
        int fd = -1;
    } request;
    request.fd = fd;
    std::optional<int> id;
    const auto answer = [&](nlmsghdr* message) {
        nlattr* const attribute = nlmsg_find_attr(message, sizeof(rtgenmsg), NETNSA_NSID);
        if (attribute == nullptr || nla_len(attribute) < 4) return;
        const auto value = static_cast<int>(nla_get_u32(attribute));
        if (value >= 0) id = value;
    };
    (void)ask(NETLINK_ROUTE, RTM_GETNSID, bytes_of(request),
              answer);  // without an answer it has no id
    return id;
}

Result<> enter(const Namespace& other) {
    if (::setns(other.fd.get(), CLONE_NEWNET) != 0)
        return fail_errno(errno, "enter the network namespace of " + other.name, other.name, {},
                          "it needs CAP_SYS_ADMIN");
    return {};
}

}  // namespace

Result<> in_other_namespaces(
    const SysRoot& root, const std::function<Result<>(const std::string& name, int ours)>& visit) {
    VFB_TRY(const auto ours, root.proc().open_file("thread-self/ns/net", O_RDONLY));
    std::set<ino_t> seen;
    if (const auto inode = inode_of(ours.get())) seen.insert(*inode);
    VFB_TRY(const auto others, find_namespaces(root, seen));
    Result<> result;
    if (others.empty()) return result;
    // The thread is in a namespace that is not ours at its end: nobody else may get it.
    std::thread([&] {
        for (const auto& other : others) {
            auto visited = enter(other);
            if (visited) visited = visit(other.name, ours.get());
            if (!visited && result) result = std::move(visited);
        }
    }).join();
    return result;
}

Result<std::vector<Network>> read_networks(const SysRoot& root,
                                           const std::set<std::string>& functions) {
    std::vector<Network> networks;
    RdmaReader rdma(root, functions);
    VFB_TRY(auto here, read_network());
    VFB_CHECK(rdma.read(here));
    networks.push_back(std::move(here));
    VFB_CHECK(in_other_namespaces(root, [&](const std::string& name, int ours) -> Result<> {
        VFB_TRY(auto network, read_network());
        if (auto read = rdma.read(network); !read) return read;
        network.name = name;
        network.our_id = id_of(ours);
        networks.push_back(std::move(network));
        return {};
    }));
    return networks;
}

}  // namespace vfb::nic
