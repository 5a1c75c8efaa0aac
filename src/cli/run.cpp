// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker run: lease, then become the program that uses the functions. The process stays the same,
// so the lease, whose owner is the process, ends when the program does.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "client/lease.hpp"
#include "context.hpp"
#include "execute.hpp"
#include "exit_codes.hpp"
#include "formats.hpp"
#include "lease_options.hpp"
#include "output/fields.hpp"

namespace vfb::cli {
namespace {

struct RunOptions {
    std::vector<std::string> pools;  // POOL[:COUNT]
    client::LeaseRequest request;    // of each pool
    std::optional<Format> format;
    std::vector<std::string> device_options;
};

// `net:2`; a name without a number is one function.
Result<client::LeaseRequest> request_for(const std::string& pool, const RunOptions& options) {
    client::LeaseRequest request = options.request;
    const auto colon = pool.rfind(':');
    request.pool = pool.substr(0, colon);
    request.owner = "process";
    if (colon == std::string::npos) return request;
    std::uint16_t count = 0;
    const char* const end = pool.data() + pool.size();
    const auto [stop, error] = std::from_chars(pool.data() + colon + 1, end, count);
    if (error != std::errc() || stop != end || count == 0)
        return fail(Code::invalid, "lease " + pool, pool, "it is not POOL or POOL:COUNT");
    request.count = count;
    return request;
}

// The daemon chooses a backend as it grants the lease, but how to hand over follows from the
// backend and has to be said with the request: ask first, and insist on the answer.
Result<std::string> backend_of(client::Client& client, const std::string& pool) {
    VFB_TRY(const auto pools, client.call("ListPools", proto::Json::object()));
    for (const auto& entry : elements(pools.parameters, "pools"))
        if (text(entry, "name") == pool && !text(entry, "backend").empty())
            return text(entry, "backend");
    VFB_TRY(const auto status, client.call("Status", proto::Json::object()));
    const auto backends = elements(status.parameters, "backends");
    const bool iommufd = std::ranges::find(backends, "iommufd") != backends.end();
    return iommufd ? "iommufd" : "group";
}

Result<client::Lease> lease_from(client::Client& client, client::LeaseRequest request,
                                 Format format) {
    // DPDK opens the nodes itself and knows groups only.
    if (format == Format::dpdk && !request.backend) request.backend = "group";
    if (!request.backend) {
        VFB_TRY(request.backend, backend_of(client, request.pool));
    }
    request.hand_off = *request.backend == "iommufd" ? "descriptors" : "node";
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

// Their owner is about to end, which would end them too; this is sooner, and says when it fails.
void give_back(client::Client& client, std::vector<client::Lease>& leases) {
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
    VFB_TRY(auto client, context.connect());
    std::vector<client::Lease> leases;
    for (const auto& request : requests) {
        auto lease = lease_from(client, request, format);
        if (!lease) {
            give_back(client, leases);
            return std::unexpected(std::move(lease.error()));
        }
        leases.push_back(std::move(*lease));
    }
    const auto words = device_words(format, leases, options.device_options);
    VFB_TRY(const auto command, fill_in(context.command, words));
    const Error error = execute(command, descriptors_of(leases));
    fmt::print(stderr, "vfbroker: {}\n", error.message());
    give_back(client, leases);
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
    add_lease_options(*run_app, options->request);
    // Powers of 1024, as QEMU's -m has them.
    run_app
        ->add_option_function<std::int64_t>(
            "--memlock",
            [options](const std::int64_t& bytes) { options->request.memory_lock = bytes; },
            "Memory-lock limit: 8G, 512M; guest memory and 1G (default: the pool's bound)")
        ->type_name("SIZE")
        ->transform(CLI::AsSizeValue(false).description(""))
        ->check(CLI::Range(std::int64_t{1}, INT64_MAX).description(""));
    run_app
        ->add_option_function<std::string>(
            "--format",
            [options](const std::string& name) {
                options->format = name == "dpdk" ? Format::dpdk : Format::qemu;
            },
            "What takes the place of {} (default: by the command's name)")
        ->type_name("qemu|dpdk")
        ->check(CLI::IsMember({"qemu", "dpdk"}).description(""));
    run_app
        ->add_option("--device-option", options->device_options,
                     "An option more for each device; repeatable")
        ->type_name("KEY=VALUE")
        ->expected(1)
        ->take_all();
    run_app->callback([&context, options] {
        context.action = [&context, options] { return run(context, *options); };
    });
}

}  // namespace vfb::cli
