// SPDX-License-Identifier: GPL-2.0-or-later
//
// Reading what the checks look at. Nothing that fails here stops the rest.
#include <array>
#include <ranges>

#include "base/process.hpp"
#include "doctor/doctor.hpp"
#include "guests.hpp"
#include "kernel_log.hpp"
#include "pci/inventory.hpp"

namespace vfb::doctor {
namespace {

std::vector<std::string> arguments_of(const Dir& proc, pid_t pid) {
    const auto text = proc.read(std::to_string(pid) + "/cmdline");
    std::vector<std::string> words;
    if (!text) return words;
    for (const auto part : *text | std::views::split('\0')) {
        std::string word(std::string_view{part});
        if (!word.empty()) words.push_back(std::move(word));
    }
    return words;
}

std::vector<Process> read_processes(const Dir& proc) {
    std::vector<Process> processes;
    const auto names = proc.list();
    if (!names) return processes;
    for (const auto& name : *names) {
        const auto pid = parse_number(name);
        if (!pid || *pid <= 0) continue;
        Process process{.pid = static_cast<pid_t>(*pid), .name = {}, .arguments = {}};
        const auto comm = proc.read(name + "/comm");
        if (!comm) continue;  // it has ended meanwhile
        process.name = *comm;
        if (runs_guests(process.name)) process.arguments = arguments_of(proc, process.pid);
        processes.push_back(std::move(process));
    }
    return processes;
}

template <class T>
void take(Result<T> result, const char* check, T& value, Host& host) {
    if (result)
        value = std::move(*result);
    else
        host.unread.emplace(check, std::move(result).error());
}

}  // namespace

Host read_host(const SysRoot& root, const DaemonFacts* daemon) {
    Host host{.root = root,
              .daemon = daemon,
              .functions = {},
              .platform = {},
              .groups = {},
              .support = {},
              .kernel_log = {},
              .processes = read_processes(root.proc()),
              .unread = {}};
    take(pci::Inventory(root).read_all(), "sriov", host.functions, host);
    take(iommu::read_platform(root), "iommu", host.platform, host);
    take(iommu::read_groups(root), "iommu-groups", host.groups, host);
    host.support = vfio::read_support(root, std::nullopt);
    auto log = read_kernel_log(root);
    if (log)
        host.kernel_log = std::move(*log);
    else
        host.unread.emplace("kernel-messages", std::move(log).error());
    return host;
}

}  // namespace vfb::doctor
