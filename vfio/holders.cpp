// SPDX-License-Identifier: GPL-2.0-or-later
#include "holders.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ranges>

#include "base/open_file.hpp"
#include "base/process.hpp"
#include "nodes.hpp"

namespace vfb::vfio {
namespace {

constexpr std::string_view kDeleted = " (deleted)";
constexpr std::string_view kDeviceOfGroup = "anon_inode:[vfio-device]";

enum class Match { no, possible, certain };

// What an open file must be to be the function's.
struct Wanted {
    std::vector<std::string> paths;  // as a descriptor's link shows them
    std::string devices;             // the folder of device nodes, with a slash at its end
    std::vector<dev_t> numbers;
    std::string address;
    bool deleted_cdevs = false;  // its cdev has lost its name
};

Result<Wanted> what_to_find(const SysRoot& root, const pci::Address& address) {
    Wanted wanted;
    wanted.address = address.str();
    wanted.devices = root.dev().path() + "/";
    std::vector<std::string> nodes;
    const auto found = find_nodes(root, address);
    if (found && found->cdev) nodes.push_back(*found->cdev);
    VFB_TRY(const auto group, group_node(root, address));
    if (group) nodes.push_back(*group);
    for (const std::string& node : nodes) {
        wanted.paths.push_back(root.dev().path(node));
        if (const auto number = device_number(root.dev().fd(), node))
            wanted.numbers.push_back(*number);
    }
    // Unbinding a function that is held takes its driver link and its cdev's name away, and waits.
    const auto driver = root.sys().link_name("bus/pci/devices/" + wanted.address + "/driver");
    wanted.deleted_cdevs = !found && group && driver && !driver->has_value();
    return wanted;
}

// `vfio-device-syspath: /sys/devices/pci0000:00/0000:00:02.0/0000:01:10.0`, from Linux 6.17 on.
Match match_device(const Dir& process, const std::string& fd, const Wanted& wanted) {
    const auto info = process.read("fdinfo/" + fd);
    if (!info) return Match::no;
    for (const auto part : *info | std::views::split('\n')) {
        const std::string_view line(part);
        if (line.starts_with("vfio-device-syspath:"))
            return line.ends_with("/" + wanted.address) ? Match::certain : Match::no;
    }
    return Match::possible;
}

Match match_open_file(const Dir& process, const std::string& fd, const Wanted& wanted) {
    const auto target = process.read_link("fd/" + fd);
    if (!target) return Match::no;  // closed meanwhile
    if (*target == kDeviceOfGroup) return match_device(process, fd, wanted);
    std::string_view path = *target;
    const bool deleted = path.ends_with(kDeleted);
    if (deleted) path.remove_suffix(kDeleted.size());
    if (deleted && wanted.deleted_cdevs && path.contains("vfio/devices/")) return Match::certain;
    // A deleted node's number may be another's by now.
    if (deleted) return Match::no;
    if (std::ranges::find(wanted.paths, path) != wanted.paths.end()) return Match::certain;
    // In a container the node can have another path. Only what may be a device is looked at: a
    // file on a dead server must not hold this process up.
    if (!path.contains("vfio") && !path.starts_with(wanted.devices)) return Match::no;
    const auto number = device_number(process.fd(), "fd/" + fd);
    return number && std::ranges::find(wanted.numbers, *number) != wanted.numbers.end()
               ? Match::certain
               : Match::no;
}

Match match(const Dir& process, const std::string& fd, const Wanted& wanted) {
    const Match found = match_open_file(process, fd, wanted);
    return found != Match::no && only_names_it(process, fd) ? Match::no : found;
}

// Adds one process to the answer. One that ends while it is looked at holds nothing.
void look_into(const Dir& proc, pid_t pid, bool self, const Wanted& wanted, Holders& holders) {
    const auto process = proc.open_dir(std::to_string(pid));
    if (!process) return;
    const auto descriptors = process->list("fd");
    if (!descriptors) {
        const int error = descriptors.error().errnum;
        if (error == EACCES || error == EPERM) ++holders.hidden;
        return;
    }
    Match best = Match::no;
    for (const std::string& fd : *descriptors) {
        best = std::max(best, match(*process, fd, wanted));
        if (best == Match::certain) break;
    }
    if (self) holders.self = best == Match::certain;
    if (self || best == Match::no) return;
    auto& list = best == Match::certain ? holders.certain : holders.possible;
    list.push_back({.pid = pid, .name = process_name(proc, pid)});
}

}  // namespace

Result<Holders> scan_holders(const SysRoot& root, const pci::Address& address) {
    VFB_TRY(const auto wanted, what_to_find(root, address));
    VFB_TRY(const auto names, root.proc().list());
    Holders holders;
    for (const std::string& name : names) {
        const auto pid = parse_number(name);
        if (!pid || *pid <= 0) continue;
        const bool self = root.is_host() && *pid == ::getpid();
        look_into(root.proc(), static_cast<pid_t>(*pid), self, wanted, holders);
    }
    std::ranges::sort(holders.certain, {}, &Holder::pid);
    std::ranges::sort(holders.possible, {}, &Holder::pid);
    return holders;
}

Result<std::vector<Holder>> find_holders(const SysRoot& root, const pci::Address& address) {
    VFB_TRY(auto holders, scan_holders(root, address));
    return std::move(holders.certain);
}

std::string describe(const std::vector<Holder>& holders) {
    std::vector<std::string> texts;
    texts.reserve(holders.size());
    for (const Holder& holder : holders)
        texts.push_back(fmt::format("pid {} ({})", holder.pid, holder.name));
    return fmt::format("{}", fmt::join(texts, ", "));
}

std::string describe_open(const Holders& holders) {
    if (!holders.certain.empty()) return "open in " + describe(holders.certain);
    if (holders.self) return "open in this process already";
    if (!holders.possible.empty())
        return "open elsewhere, perhaps in " + describe(holders.possible);
    if (holders.hidden != 0)
        return fmt::format(
            "open in one of {} processes that cannot be looked into without CAP_SYS_PTRACE",
            holders.hidden);
    return "open, but in no process that can be found: the descriptor may be on its way in a "
           "socket";
}

}  // namespace vfb::vfio
