// SPDX-License-Identifier: GPL-2.0-or-later
#include "hook.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "base/process.hpp"
#include "client/functions.hpp"
#include "client/lease_when_clean.hpp"
#include "leases.hpp"

namespace vfb::libvirt {
namespace {

using namespace std::chrono_literals;
using client::Client;

// How long a start waits for a function that is being cleaned of its last guest.
constexpr auto kCleaningTime = 60s;
// What a call may take besides: libvirt waits for it, and virsh for libvirt.
constexpr auto kCallTimeout = 90s;
constexpr const char* kPidFolder = "/run/libvirt/qemu";

// VFs alone are in pools. One that is not there could be one of a PF that has none yet.
bool may_be_ours(const SysRoot& root, const HostFunction& function) {
    const std::string device = "bus/pci/devices/" + function.address;
    return function.attributes || !root.sys().exists(device) ||
           root.sys().exists(device + "/physfn");
}

bool concerns_us(const SysRoot& root, const Domain& domain) {
    return std::ranges::any_of(domain.functions, [&root](const HostFunction& function) {
        return may_be_ours(root, function);
    });
}

Result<> release_all(Client& client, const Domain& domain) {
    VFB_TRY(const auto leases, client::leases(client, kCallTimeout));
    Result<> result;
    for (const auto& lease : leases) {
        if (!is_of(lease, domain)) continue;
        if (auto ended = client::end(client, lease); !ended) result = std::move(ended);
    }
    return result;
}

Result<> prepare(const Surroundings& around, const Domain& domain) {
    VFB_TRY(auto client, Client::connect(around.socket));
    // A start that was given up by a libvirt that could not say so any more.
    VFB_CHECK(release_all(client, domain));
    VFB_TRY(const auto functions, client::list(client, true));
    VFB_TRY(const auto leases, client::leases(client, kCallTimeout));
    VFB_TRY(const auto requests, needed(domain, functions, leases));
    if (requests.empty()) return {};
    VFB_TRY(const pid_t pid, find_libvirt(around.root.proc(), around.caller));
    VFB_TRY(const auto libvirt, identify_process(around.root.proc(), pid));
    // This connection's until all are there: whatever ends it here releases all of them.
    std::vector<client::Lease> taken;
    for (const auto& request : requests) {
        VFB_TRY(auto lease, client::lease_when_clean(client, request, kCleaningTime, kCallTimeout));
        taken.push_back(std::move(lease));
    }
    for (const client::Lease& lease : taken) VFB_CHECK(client::transfer(client, lease.id, libvirt));
    return {};
}

Result<pid_t> qemu_of(const SysRoot& root, const Domain& domain) {
    VFB_TRY(const Dir folder, root.folder(kPidFolder));
    VFB_TRY(const auto pid, folder.read_number(domain.name + ".pid"));
    if (pid == 0 || pid > INT32_MAX)
        return fail(Code::failed, "find the domain's QEMU", domain.name,
                    fmt::format("{} says {}", folder.path(domain.name + ".pid"), pid));
    return static_cast<pid_t>(pid);
}

Result<> hand_to_qemu(const Surroundings& around, const Domain& domain) {
    VFB_TRY(auto client, Client::connect(around.socket));
    VFB_TRY(const auto functions, client::list(client, true));
    VFB_TRY(const auto leases, client::leases(client, kCallTimeout));
    if (const auto missing = unleased(domain, functions, leases); !missing.empty())
        return fail(Code::lost, "give the domain's leases to its QEMU", missing.front(),
                    fmt::format("{} is not leased to it any more", fmt::join(missing, ", ")),
                    "journalctl -u vfbrokerd says why");
    if (std::ranges::none_of(leases, [&domain](const auto& l) { return is_of(l, domain); }))
        return {};
    VFB_TRY(const pid_t pid, qemu_of(around.root, domain));
    VFB_TRY(const auto qemu, identify_process(around.root.proc(), pid));
    for (const auto& lease : leases)
        if (is_of(lease, domain)) VFB_CHECK(client::transfer(client, lease.id, qemu));
    return {};
}

Result<> release(const Surroundings& around, const Domain& domain) {
    VFB_TRY(auto client, Client::connect(around.socket));
    return release_all(client, domain);
}

Result<pid_t> parent_of(const Dir& proc, pid_t pid) {
    VFB_TRY(const auto status, proc.read(fmt::format("{}/status", pid)));
    constexpr std::string_view kField = "\nPPid:\t";
    const auto at = status.find(kField);
    const auto end = at == std::string::npos ? at : status.find('\n', at + 1);
    const auto from = at + kField.size();
    const auto parent =
        end == std::string::npos ? std::nullopt : parse_number(status.substr(from, end - from));
    if (!parent)
        return fail(Code::failed, "find the parent of a process", std::to_string(pid),
                    "cannot read " + proc.path(fmt::format("{}/status", pid)));
    return static_cast<pid_t>(*parent);
}

}  // namespace

Result<pid_t> find_libvirt(const Dir& proc, pid_t pid) {
    constexpr int kMostBetween = 8;  // scripts that call the hook
    for (int i = 0; i < kMostBetween && pid > 1; ++i) {
        const std::string name = process_name(proc, pid);
        if (name == "libvirtd" || name == "virtqemud") return pid;
        VFB_TRY(pid, parent_of(proc, pid));
    }
    return fail(Code::invalid, "find the libvirt that owns the lease", {},
                "the hook was started by neither libvirtd nor virtqemud",
                "see vfbroker-libvirt-hook(8) on where to install it");
}

Result<> run_hook(const Surroundings& around, const Call& call, std::string_view xml) {
    using Step = Result<> (*)(const Surroundings&, const Domain&);
    struct Known {
        std::string_view operation, sub_operation, verb;
        Step step;
    };
    static constexpr std::array<Known, 4> kSteps{
        {{"prepare", "begin", "start", prepare},
         {"started", "begin", "start", hand_to_qemu},
         {"reconnect", "begin", "check the leases of", hand_to_qemu},
         {"release", "end", "take back the functions of", release}}};
    const auto known = std::ranges::find_if(kSteps, [&call](const Known& step) {
        return step.operation == call.operation && step.sub_operation == call.sub_operation;
    });
    if (known == kSteps.end()) return {};
    VFB_TRY(const Domain domain, parse_domain(xml));
    if (!concerns_us(around.root, domain)) return {};
    auto done = known->step(around, domain);
    if (done) return {};
    Error error = fail(done.error().code, fmt::format("{} domain {}", known->verb, domain.name),
                       domain.name, {})
                      .error()
                      .because(std::move(done).error());
    return std::unexpected(std::move(error));
}

}  // namespace vfb::libvirt
