// SPDX-License-Identifier: GPL-2.0-or-later
#include "hook.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>

#include "client/lease_list.hpp"
#include "client/lease_when_clean.hpp"
#include "container.hpp"
#include "nodes.hpp"

namespace vfb::cdi {
namespace {

using namespace std::chrono_literals;
using client::Client;
using proto::Json;

// How long a container waits for a function that is being cleaned of its last user.
constexpr auto kCleaningTime = 60s;
constexpr auto kCallTimeout = 90s;

// A program that drives a function locks all of its memory; runtimes give it the host's usual
// limit.
Result<std::optional<std::int64_t>> memory_lock_of(Client& client, const std::string& pool) {
    VFB_TRY(const auto reply, client.call("ListPools", Json::object(), kCallTimeout));
    for (const Json& entry : reply.parameters.value("pools", Json::array()))
        if (entry.value("name", "") == pool && entry.contains("memoryLockMax"))
            return entry.at("memoryLockMax").get<std::int64_t>();
    return std::nullopt;
}

// The specification was made before the lease: the function may have other nodes since.
Result<> check_nodes(const Wanted& wanted, const std::vector<std::string>& nodes) {
    if (wanted.nodes == nodes) return {};
    return fail(
        Code::busy, fmt::format("give {} to the container", *wanted.function), *wanted.function,
        fmt::format(
            "its nodes are {} now, and the container was given {}", fmt::join(nodes, " and "),
            wanted.nodes.empty() ? "none" : fmt::format("{}", fmt::join(wanted.nodes, " and "))),
        "start the container again; systemctl status vfbroker-cdi");
}

Result<> hand_over(const SysRoot& root, const Wanted& wanted, const State& state,
                   const client::Lease& lease) {
    const std::string address = lease.functions.front().address;
    VFB_TRY(const auto nodes, find_nodes(root, address, lease.backend));
    if (nodes.empty())
        return fail(Code::lost, fmt::format("give {} to the container", address), address,
                    "it has no VFIO node", fmt::format("vfbroker explain {}", address));
    if (wanted.function) return check_nodes(wanted, nodes);
    return give_nodes(root, state, nodes);
}

// The list has the number of the process and not its start time. When the number is another's by
// now, the lease counts as one of a process that lives: nothing is lost, as vfbrokerd, which has a
// pidfd, ends it anyway.
bool has_ended(const SysRoot& root, const client::LeaseSummary& lease) {
    const auto process = identify_process(root.proc(), static_cast<pid_t>(lease.pid));
    return !process && process.error().code == Code::not_found;
}

}  // namespace

client::LeaseRequest request_of(const Wanted& wanted, const State& state, const ProcessId& process,
                                std::optional<std::int64_t> memory_lock) {
    client::LeaseRequest request;
    request.pool = wanted.pool;
    if (wanted.function) request.functions = {*wanted.function};
    request.guest = state.id;
    request.backend = wanted.backend;
    request.owner = "process";
    request.hand_off = "none";
    request.process = process;
    request.memory_lock = memory_lock;
    return request;
}

Result<> lease(const SysRoot& root, const std::string& socket, const Wanted& wanted,
               const State& state) {
    if (state.pid == 0)
        return fail(Code::invalid, "lease for container " + state.id, state.id,
                    "its state names no process", "this is a createRuntime hook");
    VFB_TRY(const auto process, identify_process(root.proc(), state.pid));
    VFB_TRY(auto client, Client::connect(socket));
    VFB_TRY(const auto memory_lock, memory_lock_of(client, wanted.pool));
    VFB_TRY(const auto taken,
            client::lease_when_clean(client, request_of(wanted, state, process, memory_lock),
                                     kCleaningTime, kCallTimeout));
    auto done = hand_over(root, wanted, state, taken);
    // It would end with the container's process, which the runtime is about to kill.
    if (!done) (void)client::release(client, taken.id, taken.generation());
    return done;
}

// A guest's name says little: others may call theirs as they like, a VM that root runs too. But
// this is poststop: the container's first process has ended, so a lease whose process lives is not
// the container's. If a runtime came sooner, the lease would end with that process as well.
Result<> release(const SysRoot& root, const std::string& socket, const State& state) {
    VFB_TRY(auto client, Client::connect(socket));
    VFB_TRY(const auto leases, client::leases(client, kCallTimeout));
    Result<> result;
    for (const auto& lease : leases) {
        if (lease.uid != 0 || lease.owner != "process" || lease.guest != state.id) continue;
        if (!has_ended(root, lease)) continue;
        // vfbrokerd has ended it with its process, as a rule.
        if (auto ended = client::end(client, lease); !ended) result = std::move(ended);
    }
    return result;
}

}  // namespace vfb::cdi
