// SPDX-License-Identifier: GPL-2.0-or-later
#include "nic/host_use.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

namespace vfb::nic {
namespace {

// `2 QPs`
std::string counted(int count, const std::string& what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string objects_of(const RdmaUser& user) {
    std::vector<std::string> texts;
    for (const auto& [kind, count] : user.objects) texts.push_back(counted(count, kind));
    return fmt::format("{}", fmt::join(texts, ", "));
}

// Who uses an RDMA device, which the text calls `device`: those who have objects, and those who
// have no more than its node open.
std::vector<Use> uses_of_rdma(const RdmaDevice& rdma, const std::string& device,
                              FileHolders& holders) {
    std::vector<Use> uses;
    const auto say = [&](std::string text) {
        uses.push_back({.kind = "rdma", .text = std::move(text)});
    };
    std::set<pid_t> only_open;
    for (const dev_t node : rdma.nodes) {
        const auto& pids = holders.of_node(node);
        only_open.insert(pids.begin(), pids.end());
    }
    for (const auto& user : rdma.users) {
        only_open.erase(user.pid);
        const std::string who = !user.kernel_name.empty()
                                    ? fmt::format("{} of the kernel", user.kernel_name)
                                : user.pid != 0 ? holders.describe(user.pid)
                                                : "a process that cannot be seen here";
        say(fmt::format("{} uses {}: {}", who, device, objects_of(user)));
    }
    for (const pid_t pid : only_open)
        say(fmt::format("{} has {} open", holders.describe(pid), device));
    return uses;
}

// Links of one namespace, by ifindex.
using Links = std::map<int, const HostLink*>;

class Search {
public:
    Search(const Network& network, FileHolders& holders, const std::set<int>& start)
        : network_(network), holders_(holders) {
        for (const auto& link : network.links) links_.emplace(link.ifindex, &link);
        for (const int ifindex : start) add(ifindex);
    }

    std::vector<Use> run(const std::string& ssh_client, int ssh_link) {
        for (const auto& address : network_.addresses)
            if (concerned(address.ifindex) && !address.automatic)
                say("address",
                    fmt::format("{} has the address {}", name(address.ifindex), address.text));
        for (const auto& route : network_.routes) look_at(route);
        for (const auto& [ifindex, link] : links_)
            if (concerned(ifindex) && link->xdp)
                say("xdp", fmt::format("{} runs an XDP program", link->name));
        look_at_sockets();
        look_at_rdma();
        if (concerned(ssh_link))
            say("ssh",
                fmt::format("your SSH session from {} comes in by {}", ssh_client, name(ssh_link)));
        return std::move(uses_);
    }

private:
    [[nodiscard]] bool concerned(int ifindex) const { return concerned_.contains(ifindex); }
    [[nodiscard]] std::string name(int ifindex) const {
        const auto it = links_.find(ifindex);
        const std::string link =
            it == links_.end() ? fmt::format("interface {}", ifindex) : it->second->name;
        return network_.name.empty()
                   ? link
                   : fmt::format("{} in the network namespace {}", link, network_.name);
    }
    void say(const char* kind, std::string text) {
        Use use{.kind = kind, .text = std::move(text)};
        if (std::ranges::find(uses_, use) == uses_.end()) uses_.push_back(std::move(use));
    }

    // Also what it is a member of, and what stands on it.
    void add(int ifindex) {
        if (!concerned_.insert(ifindex).second) return;
        const auto it = links_.find(ifindex);
        if (it == links_.end()) return;
        const HostLink& link = *it->second;
        if (const auto master = links_.find(link.master);
            link.master != 0 && master != links_.end()) {
            say("member", fmt::format("{} is a member of {} ({})", name(ifindex),
                                      master->second->name, master->second->kind));
            add(link.master);
        }
        for (const auto& [index, upper] : links_) {
            if (upper->lower != ifindex || upper->lower_namespace || index == ifindex) continue;
            say("upper",
                fmt::format("{} ({}) stands on {}", upper->name, upper->kind, name(ifindex)));
            add(index);
        }
    }

    void look_at(const HostRoute& route) {
        if (route.automatic && !route.destination.empty()) return;
        for (const int ifindex : route.ifindexes) {
            if (!concerned(ifindex)) continue;
            if (route.destination.empty())
                say("default-route", fmt::format("the default route leaves by {}", name(ifindex)));
            else
                say("route",
                    fmt::format("the route to {} leaves by {}", route.destination, name(ifindex)));
        }
    }

    void look_at_sockets() {
        std::map<std::pair<int, std::string>, std::vector<ino_t>> inodes;
        for (const auto& socket : network_.sockets)
            if (concerned(socket.ifindex))
                inodes[{socket.ifindex, socket.kind}].push_back(socket.inode);
        for (const auto& [bound, sockets] : inodes) {
            const auto& [ifindex, kind] = bound;
            say(kind == "AF_XDP" ? "xdp" : "socket",
                fmt::format("{} {} bound to {}, held by {}",
                            counted(static_cast<int>(sockets.size()), kind + " socket"),
                            sockets.size() == 1 ? "is" : "are", name(ifindex), held_by(sockets)));
        }
    }
    std::string held_by(const std::vector<ino_t>& sockets) {
        std::set<pid_t> pids;
        bool nobody = false;
        for (const ino_t inode : sockets) {
            const auto& found = holders_.of_socket(inode);
            pids.insert(found.begin(), found.end());
            nobody = nobody || found.empty();
        }
        std::vector<std::string> texts;
        for (const pid_t pid : pids) texts.push_back(holders_.describe(pid));
        if (nobody) texts.push_back(holders_.nobody());
        return fmt::format("{}", fmt::join(texts, ", "));
    }

    void look_at_rdma() {
        for (const auto& rdma : network_.rdma)
            for (const int ifindex : rdma.ifindexes) {
                if (!concerned(ifindex)) continue;
                const auto device =
                    fmt::format("the RDMA device {} on {}", rdma.name, name(ifindex));
                for (auto& use : uses_of_rdma(rdma, device, holders_))
                    uses_.push_back(std::move(use));
                break;
            }
    }

    const Network& network_;
    FileHolders& holders_;
    Links links_;
    std::set<int> concerned_;
    std::vector<Use> uses_;
};

// What stands in `other` on links of ours: a macvlan that was moved into a container.
void find_foreign_uppers(const Network& ours, const std::set<int>& start, const Network& other,
                         std::vector<Use>& uses) {
    if (!other.our_id) return;
    for (const auto& link : other.links) {
        const bool on_ours = link.lower_namespace == other.our_id && start.contains(link.lower);
        if (!on_ours || link.kind == "veth") continue;  // a veth's other end stands on nothing
        const auto lower = std::ranges::find(ours.links, link.lower, &HostLink::ifindex);
        uses.push_back({.kind = "upper",
                        .text = fmt::format("{} ({}) in the network namespace {} stands on {}",
                                            link.name, link.kind, other.name,
                                            lower == ours.links.end() ? "it" : lower->name)});
    }
}

}  // namespace

std::vector<Use> uses_of(const std::vector<Network>& networks, FileHolders& holders,
                         const std::string& pci_address, const std::set<std::string>& names,
                         const std::string& ssh_client, int ssh_link) {
    std::vector<Use> uses;
    std::set<int> of_ours;
    for (const auto& network : networks) {
        const bool ours = network.name.empty();
        std::set<int> start;
        for (const auto& link : network.links)
            if ((!pci_address.empty() && link.pci_address == pci_address) ||
                (ours && names.contains(link.name)))
                start.insert(link.ifindex);
        if (ours) {
            of_ours = start;
        } else {
            for (const auto& link : network.links)
                if (start.contains(link.ifindex))
                    uses.push_back(
                        {.kind = "namespace",
                         .text = fmt::format("its interface {} is in the network namespace {}",
                                             link.name, network.name)});
            find_foreign_uppers(networks.front(), of_ours, network, uses);
        }
        for (const auto& rdma : network.rdma)
            if (!pci_address.empty() && rdma.pci_address == pci_address)
                for (auto& use : uses_of_rdma(rdma, "its RDMA device " + rdma.name, holders))
                    uses.push_back(std::move(use));
        if (start.empty()) continue;
        auto found = Search(network, holders, start).run(ssh_client, ours ? ssh_link : 0);
        uses.insert(uses.end(), found.begin(), found.end());
    }
    return uses;
}

}  // namespace vfb::nic
