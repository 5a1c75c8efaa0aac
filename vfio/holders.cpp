// SPDX-License-Identifier: GPL-2.0-or-later
#include "holders.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ranges>
#include <set>
#include <span>

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
    VFB_TRY(const auto found, nodes_if_bound(root, address));
    if (found && found->cdev) nodes.push_back(*found->cdev);
    std::optional<std::string> group;
    if (found) {
        group = found->group;
    } else {
        VFB_TRY(group, group_node(root, address));
    }
    if (group) nodes.push_back(*group);
    for (const std::string& node : nodes) {
        wanted.paths.push_back(root.dev().path(node));
        if (const auto number = device_number(root.dev().fd(), node))
            wanted.numbers.push_back(*number);
    }
    // Unbinding a function that is held takes its driver link and its cdev's name away, and waits.
    if (found || !group) return wanted;
    const auto driver = root.sys().link_name("bus/pci/devices/" + wanted.address + "/driver");
    wanted.deleted_cdevs = driver && !driver->has_value();
    return wanted;
}

// `vfio-device-syspath: /sys/devices/pci0000:00/0000:00:02.0/0000:01:10.0`, from Linux 6.17 on.
Match match_device(const std::string& info, const Wanted& wanted) {
    for (const auto part : info | std::views::split('\n')) {
        const std::string_view line(part);
        if (line.starts_with("vfio-device-syspath:"))
            return line.ends_with("/" + wanted.address) ? Match::certain : Match::no;
    }
    return Match::possible;
}

// A descriptor that may be of a VFIO device. What it takes to tell is read once, for however many
// functions are looked for.
struct OpenFile {
    std::string path;
    bool deleted = false;
    std::optional<dev_t> number;
    std::optional<std::string> device_info;  // of a device that was opened through its group
};

std::optional<OpenFile> read_open_file(const Dir& process, const std::string& fd,
                                       const std::string& devices) {
    auto target = process.read_link("fd/" + fd);
    if (!target) return std::nullopt;  // closed meanwhile
    OpenFile file;
    file.path = std::move(*target);
    if (file.path == kDeviceOfGroup) {
        auto info = process.read("fdinfo/" + fd);
        if (!info) return std::nullopt;
        file.device_info = std::move(*info);
        return file;
    }
    // In a container the node can have another path. Only what may be a device is looked at: a
    // file on a dead server must not hold this process up.
    if (!file.path.contains("vfio") && !file.path.starts_with(devices)) return std::nullopt;
    file.deleted = file.path.ends_with(kDeleted);
    if (file.deleted)
        file.path.resize(file.path.size() - kDeleted.size());
    else
        file.number = device_number(process.fd(), "fd/" + fd);
    return file;
}

Match match_open_file(const OpenFile& file, const Wanted& wanted) {
    if (file.device_info) return match_device(*file.device_info, wanted);
    const auto is = [](bool it) { return it ? Match::certain : Match::no; };
    // A deleted node's number may be another's by now.
    if (file.deleted) return is(wanted.deleted_cdevs && file.path.contains("vfio/devices/"));
    return is(
        std::ranges::find(wanted.paths, file.path) != wanted.paths.end() ||
        (file.number && std::ranges::find(wanted.numbers, *file.number) != wanted.numbers.end()));
}

using Numbers = std::vector<std::string>;  // of the descriptors of a table

// Raises `best`, how sure it is that the process has each of those that are wanted, by one table of
// descriptors; `owner` is the folder of the process or of one of its threads.
void match_table(const Dir& owner, const Numbers& descriptors, const std::vector<Wanted>& wanted,
                 std::vector<Match>& best) {
    for (const std::string& fd : descriptors) {
        const auto file = read_open_file(owner, fd, wanted.front().devices);
        if (!file) continue;
        for (std::size_t i = 0; i < wanted.size(); ++i) {
            const Match found = match_open_file(*file, wanted[i]);
            if (found > best[i] && !only_names_it(owner, fd)) best[i] = found;
        }
    }
}

// A thread may have a table of its own (unshare(2) with CLONE_FILES), and the first one's is gone
// when that has ended. Threads of one table list the same numbers, so that what is common costs one
// listing a thread; who makes an own table look the same is found out by the unbinding.
void match_threads(const Dir& process, const std::string& first, const Numbers& descriptors,
                   const std::vector<Wanted>& wanted, std::vector<Match>& best) {
    const auto threads = process.list("task");
    if (!threads || threads->size() < 2) return;
    std::set<Numbers> seen{descriptors};
    for (const std::string& name : *threads) {
        if (name == first) continue;
        const auto thread = process.open_dir("task/" + name);
        if (!thread) continue;  // ended meanwhile
        const auto numbers = thread->list("fd");
        if (numbers && seen.insert(*numbers).second) match_table(*thread, *numbers, wanted, best);
    }
}

// Adds one process to the answers. One that ends while it is looked at holds nothing.
void look_into(const Dir& proc, pid_t pid, bool self, const std::vector<Wanted>& wanted,
               std::vector<Holders>& holders) {
    const std::string name = std::to_string(pid);
    const auto process = proc.open_dir(name);
    if (!process) return;
    const auto descriptors = process->list("fd");
    if (!descriptors) {
        const int error = descriptors.error().errnum;
        if (error == EACCES || error == EPERM)
            for (Holders& one : holders) ++one.hidden;
        return;
    }
    std::vector<Match> best(wanted.size(), Match::no);
    match_table(*process, *descriptors, wanted, best);
    match_threads(*process, name, *descriptors, wanted, best);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (self) holders[i].self = best[i] == Match::certain;
        if (self || best[i] == Match::no) continue;
        auto& list = best[i] == Match::certain ? holders[i].certain : holders[i].possible;
        list.push_back({.pid = pid, .name = process_name(proc, pid)});
    }
}

// In the order of the addresses.
Result<std::vector<Holders>> scan(const SysRoot& root, std::span<const pci::Address> addresses) {
    std::vector<Holders> holders(addresses.size());
    if (addresses.empty()) return holders;
    std::vector<Wanted> wanted;
    for (const auto& address : addresses) {
        VFB_TRY(auto one, what_to_find(root, address));
        wanted.push_back(std::move(one));
    }
    VFB_TRY(const auto names, root.proc().list());
    for (const std::string& name : names) {
        const auto pid = parse_number(name);
        if (!pid || *pid <= 0) continue;
        const bool self = root.is_host() && *pid == ::getpid();
        look_into(root.proc(), static_cast<pid_t>(*pid), self, wanted, holders);
    }
    for (Holders& one : holders) {
        std::ranges::sort(one.certain, {}, &Holder::pid);
        std::ranges::sort(one.possible, {}, &Holder::pid);
    }
    return holders;
}

}  // namespace

Result<Holders> scan_holders(const SysRoot& root, const pci::Address& address) {
    VFB_TRY(auto holders, scan(root, {&address, 1}));
    return std::move(holders.front());
}

Result<std::vector<std::vector<Holder>>> find_holders(const SysRoot& root,
                                                      std::span<const pci::Address> addresses) {
    VFB_TRY(auto found, scan(root, addresses));
    std::vector<std::vector<Holder>> holders;
    holders.reserve(found.size());
    for (Holders& one : found) holders.push_back(std::move(one.certain));
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
