// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker run: lease, then become the program that uses the functions. The process stays the same,
// so the lease, whose owner is the process, ends when the program does.
#include <fmt/format.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "client/lease.hpp"
#include "context.hpp"
#include "execute.hpp"
#include "exit_codes.hpp"
#include "formats.hpp"
#include "lease_options.hpp"
#include "memory_lock.hpp"
#include "pool_facts.hpp"
#include "qemu_command.hpp"

namespace vfb::cli {
namespace {

struct RunOptions {
    std::vector<std::string> pools;  // POOL[:COUNT]
    client::LeaseRequest request;    // of each pool
    std::optional<Format> format;
    std::vector<std::string> device_options;
};

// `net:2`; a name without a number is one function, or as many as --count says.
Result<client::LeaseRequest> request_for(const std::string& pool, const RunOptions& options) {
    client::LeaseRequest request = options.request;
    request.owner = "process";
    VFB_CHECK(read_pool(request, pool));
    return request;
}

// What the leases together need: each pool's bound holds, as each lease may set the limit.
struct Needs {
    QemuCommand qemu;
    std::size_t devices = 0;
    bool privileged = false;
};

Result<std::int64_t> memory_lock(const client::LeaseRequest& request, const PoolFacts& pool,
                                 const Needs& needs) {
    const std::uint64_t pinned = *needs.qemu.memory * (needs.qemu.guest_iommu ? needs.devices : 1);
    VFB_TRY(const auto limit, memory_lock_limit(::getpid()));
    return memory_lock_beyond(limit, request.pool, pinned, pool.memory_lock_max, needs.privileged);
}

Result<client::Lease> lease_from(client::Client& client, client::LeaseRequest request,
                                 Format format, const Needs& needs) {
    // DPDK opens the nodes itself and knows groups only.
    if (format == Format::dpdk && !request.backend) request.backend = "group";
    // Of QEMU only: see run().
    const bool bounded = needs.qemu.memory && !request.memory_lock;
    PoolFacts pool;
    if (!request.backend || bounded) {
        VFB_TRY(pool, pool_facts(client, request.pool));
    }
    choose_hand_off(request, pool);
    if (bounded) {
        VFB_TRY(request.memory_lock, memory_lock(request, pool, needs));
    }
    return client::lease(client, request);
}

std::vector<int> descriptors_of(const std::vector<client::Lease>& leases) {
    std::vector<int> fds;
    for (const auto& lease : leases) {
        if (lease.context) fds.push_back(lease.context.get());
        for (const auto& function : lease.functions)
            if (function.descriptor) fds.push_back(function.descriptor.get());
    }
    return fds;
}

// One context for all devices, so that the guest's memory is pinned once: the command's own, if it
// has one. The others are not handed over.
void share_context(std::vector<client::Lease>& leases, const std::optional<std::string>& given) {
    bool have_one = given.has_value();
    for (auto& lease : leases) {
        if (lease.backend != "iommufd") continue;
        if (have_one) lease.context.reset();
        have_one = true;
    }
}

// Their owner is about to end, which would end them too; this is sooner, and says when it fails.
void release_all(client::Client& client, std::vector<client::Lease>& leases) {
    for (auto& lease : leases) {
        const auto generation = lease.generation();
        lease.context.reset();
        for (auto& function : lease.functions) function.descriptor.reset();
        if (const auto done = client::release(client, lease.id, generation); !done)
            fmt::print(stderr, "vfbroker: {}\n", done.error().message());
    }
    leases.clear();
}

Result<std::vector<client::LeaseRequest>> check(const Context& context, const RunOptions& options,
                                                Format format) {
    if (!context.command_given)
        return fail(Code::invalid, "run the command", {}, "none is given behind --",
                    "vfbroker run POOL -- qemu-system-x86_64 … {} …");
    VFB_CHECK(fill_in(context.command, {}));
    if (context.command.front() == "{}")
        return fail(Code::invalid, "run the command", {}, "its first word is {}, not a program");
    for (const auto& option : options.device_options) VFB_CHECK(check_device_option(option));
    if (format == Format::dpdk && options.request.backend == "iommufd")
        return fail(Code::invalid, "run the command", {}, "DPDK cannot use the iommufd backend",
                    "leave out --backend");
    if (const auto& named = options.request.functions;
        !named.empty() && (options.pools.size() > 1 || options.pools.front().contains(':')))
        return fail(Code::invalid, "lease " + named.front(), named.front(),
                    "--function is of one pool and counts by itself",
                    "vfbroker run POOL --function ADDRESS -- …");
    if (options.request.count && options.pools.size() > 1)
        return fail(Code::invalid, "lease from several pools", options.pools.front(),
                    "--count is of one pool", "say how many of each: POOL:COUNT");
    std::vector<client::LeaseRequest> requests;
    for (const auto& pool : options.pools) {
        VFB_TRY(auto request, request_for(pool, options));
        requests.push_back(std::move(request));
    }
    return requests;
}

Result<int> run(const Context& context, const RunOptions& options) {
    const std::string program = context.command.empty() ? "" : context.command.front();
    const Format format = options.format.value_or(format_for(program));
    VFB_TRY(const auto requests, check(context, options, format));
    Needs needs;
    needs.privileged = ::geteuid() == 0;
    if (format == Format::qemu) {
        VFB_TRY(needs.qemu, read_qemu_command(context.command));
    }
    for (const auto& request : requests) needs.devices += request.size();
    VFB_TRY(auto client, context.connect());
    std::vector<client::Lease> leases;
    for (const auto& request : requests) {
        auto lease = lease_from(client, request, format, needs);
        if (!lease) {
            release_all(client, leases);
            return std::unexpected(std::move(lease.error()));
        }
        leases.push_back(std::move(*lease));
    }
    if (format == Format::qemu) share_context(leases, needs.qemu.iommufd);
    const auto words = device_words(format, leases, options.device_options, needs.qemu.iommufd);
    VFB_TRY(const auto command, fill_in(context.command, words));
    std::vector<int> kept = descriptors_of(leases);
    if (needs.qemu.iommufd_fd) kept.push_back(*needs.qemu.iommufd_fd);
    const Error error = execute(command, kept);
    fmt::print(stderr, "vfbroker: {}\n", error.message());
    release_all(client, leases);
    return kCannotExecute;
}

}  // namespace

void add_run_command(CLI::App& app, Context& context) {
    auto* run_app =
        app.add_subcommand("run", "Lease functions and run a program with them, until it ends");
    auto options = std::make_shared<RunOptions>();
    run_app->footer(
        "Behind the options: -- COMMAND, one word of which is {}, where the devices go.");
    run_app
        ->add_option("POOL", options->pools, "Pools to lease from, each with a count (default 1)")
        ->required()
        ->type_name("[:COUNT]");
    add_count_option(*run_app, options->request);
    add_lease_options(*run_app, options->request);
    add_memory_lock_option(*run_app, options->request,
                           "Memory-lock limit: 8G, 512M (default: by the guest's memory, or the "
                           "pool's bound)");
    run_app
        ->add_option_function<std::string>(
            "--format",
            [options](const std::string& name) {
                options->format = name == "dpdk" ? Format::dpdk : Format::qemu;
            },
            "What takes the place of {} (default: by the command's name)")
        ->type_name("qemu|dpdk")
        ->check(CLI::IsMember({"qemu", "dpdk"}).description(""));
    add_device_option(*run_app, options->device_options);
    run_app->callback([&context, options] {
        context.action = [&context, options] { return run(context, *options); };
    });
}

}  // namespace vfb::cli
