// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker lease: a lease that stays until it is released, for programs that open device nodes.
#include "client/lease.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <csignal>

#include "client/deferred_owner.hpp"
#include "context.hpp"
#include "exit_codes.hpp"
#include "formats.hpp"
#include "lease_options.hpp"
#include "output/json.hpp"
#include "output/table.hpp"

namespace vfb::cli {
namespace {

std::string describe(const client::Lease& lease) {
    std::string out =
        fmt::format("lease {} of pool {}, backend {}\n\n", lease.id, lease.pool, lease.backend);
    Table table(columns_of("lease"));
    for (const auto& function : lease.functions)
        table.row({{.text = function.address},
                   {.text = std::to_string(function.generation)},
                   {.text = function.node}});
    out += table.str(standard_output(true));
    return out;
}

std::string instructions(const std::vector<client::Lease>& leases, const std::string& format) {
    const auto& lease = leases.front();
    const auto words = device_words(format_from_string(format).value_or(Format::qemu), leases, {});
    return fmt::format("\n{:<8} {}\nrelease: vfbroker release {} --generation {}\n",
                       (format == "qemu" ? "QEMU" : format) + ":", shell_line(words), lease.id,
                       lease.generation());
}

// What is printed of the lease that `answer` is.
std::string text_of(const Context& context, proto::Json answer,
                    const std::vector<client::Lease>& leases, const std::string& format) {
    if (context.json) {
        // Its guest's, as soon as this is printed.
        answer["lease"]["owner"] = "guest";
        return indent(answer.dump());
    }
    if (format == "libvirt") return libvirt_hostdevs(leases);
    return describe(leases.front()) + instructions(leases, format);
}

// The lease is the guest's when its number has been printed: who does not know it cannot release
// it.
Result<int> take(const Context& context, client::LeaseRequest request, const std::string& format) {
    VFB_CHECK(read_pool(request, std::string(request.pool)));
    request.owner = "guest";
    request.hand_off = "node";
    VFB_TRY(auto client, context.connect());
    const auto method = client::defer_owner(request);
    VFB_TRY(auto reply, client.call("Lease", client::to_json(request)));
    proto::Json answer = reply.parameters;
    std::vector<client::Lease> leases;
    VFB_TRY(auto lease, client::read_lease(std::move(reply)));
    leases.push_back(std::move(lease));
    const auto text = text_of(context, std::move(answer), leases, format);
    // A reader that has gone is an error like any other, and not the end before the lease's.
    std::signal(SIGPIPE, SIG_IGN);
    if (auto printed = print(text); !printed) {
        const auto& unknown = leases.front();
        if (const auto ended = client::release(client, unknown.id, unknown.generation()); !ended)
            printed.error().hint =
                fmt::format("lease {} may have to be released: vfbroker leases", unknown.id);
        return printed;
    }
    VFB_CHECK(client::give_to_owner(client, method, leases.front()));
    return kOk;
}

}  // namespace

void add_lease_command(CLI::App& app, Context& context) {
    auto* lease_app = app.add_subcommand(
        "lease", "Lease functions until they are released, their nodes lent to you");
    auto request = std::make_shared<client::LeaseRequest>();
    lease_app->add_option("POOL", request->pool, "The pool, also with how many functions: POOL:N")
        ->required()
        ->type_name("");
    add_count_option(*lease_app, *request);
    add_lease_options(*lease_app, *request);
    auto format = std::make_shared<std::string>("qemu");
    const std::vector<std::string> formats{"qemu",   "dpdk",       "libvirt", "cloud-hypervisor",
                                           "crosvm", "stratovirt", "kata"};
    lease_app
        ->add_option("--format", *format, "Whose options to print for the functions (default qemu)")
        ->type_name(fmt::format("{}", fmt::join(formats, "|")))
        ->check(CLI::IsMember(formats).description(""));
    context.add_json_option(*lease_app);
    lease_app->callback([&context, request, format] {
        context.action = [&context, request, format] { return take(context, *request, *format); };
    });
}

}  // namespace vfb::cli
