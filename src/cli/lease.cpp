// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker lease: a lease that stays until it is released, for programs that open device nodes.
#include "client/lease.hpp"

#include <fmt/format.h>

#include "context.hpp"
#include "formats.hpp"
#include "lease_options.hpp"
#include "output/json.hpp"
#include "output/table.hpp"

namespace vfb::cli {
namespace {

std::string describe(const client::Lease& lease) {
    std::string out =
        fmt::format("lease {} of pool {}, backend {}\n\n", lease.id, lease.pool, lease.backend);
    Table table({"FUNCTION", "GENERATION", "NODE"});
    for (const auto& function : lease.functions)
        table.row({{.text = function.address},
                   {.text = std::to_string(function.generation)},
                   {.text = function.node}});
    out += table.str(colour_wanted());
    return out;
}

std::string instructions(const std::vector<client::Lease>& leases) {
    const auto& lease = leases.front();
    return fmt::format("\nQEMU:    {}\nrelease: vfbroker release {} --generation {}\n",
                       shell_line(device_words(Format::qemu, leases, {})), lease.id,
                       lease.generation());
}

Result<int> take(const Context& context, client::LeaseRequest request, const std::string& format) {
    request.owner = "guest";
    request.hand_off = "node";
    VFB_TRY(auto client, context.connect());
    if (context.json) {
        VFB_TRY(const auto reply, client.call_text("Lease", client::to_json(request)));
        return print(indent(reply));
    }
    std::vector<client::Lease> leases;
    VFB_TRY(auto lease, client::lease(client, request));
    leases.push_back(std::move(lease));
    if (format == "libvirt") return print(libvirt_hostdevs(leases));
    return print(describe(leases.front()) + instructions(leases));
}

}  // namespace

void add_lease_command(CLI::App& app, Context& context) {
    auto* lease_app = app.add_subcommand(
        "lease", "Lease functions until they are released, their nodes lent to you");
    auto request = std::make_shared<client::LeaseRequest>();
    lease_app->add_option("POOL", request->pool, "Name of the pool")->required()->type_name("");
    lease_app
        ->add_option_function<std::int64_t>(
            "--count", [request](const std::int64_t& count) { request->count = count; },
            "How many functions (default 1)")
        ->type_name("N")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{UINT16_MAX}).description(""));
    add_lease_options(*lease_app, *request);
    auto format = std::make_shared<std::string>();
    lease_app->add_option("--format", *format, "Print it as the program wants it")
        ->check(CLI::IsMember({"libvirt"}).description(""))
        ->type_name("libvirt");
    context.add_json_option(*lease_app);
    lease_app->callback([&context, request, format] {
        context.action = [&context, request, format] { return take(context, *request, *format); };
    });
}

}  // namespace vfb::cli
