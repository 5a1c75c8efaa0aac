// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker leases, vfbroker release.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include "client/lease.hpp"
#include "context.hpp"
#include "exit_codes.hpp"
#include "output/fields.hpp"
#include "output/table.hpp"

namespace vfb::cli {
namespace {

// UTC, so that it can be compared with other hosts' logs.
std::string moment(const proto::Json& lease) {
    const proto::Json& since = member(lease, "since");
    if (!since.is_number_integer()) return "";
    const auto seconds = since.get<std::int64_t>();
    constexpr std::int64_t kYear10000 = 253402300800;
    if (seconds < 0 || seconds >= kYear10000) return "";
    return fmt::format("{:%FT%TZ}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

// `process 4711`, `guest web`, `connection 4711`.
std::string owner_of(const proto::Json& lease) {
    const std::string owner = text(lease, "owner");
    return owner == "guest" ? owner : fmt::format("{} {}", owner, number(lease, "pid"));
}

Result<int> leases(const Context& context) {
    if (context.json) return print_reply(context, "ListLeases", proto::Json::object());
    VFB_TRY(auto client, context.connect());
    VFB_TRY(const auto reply, client.call("ListLeases", proto::Json::object()));
    Table table({"LEASE", "POOL", "OWNER", "GUEST", "UID", "BACKEND", "SINCE", "FUNCTION",
                 "GENERATION", "ATTRIBUTES"});
    for (const auto& lease : elements(reply.parameters, "leases"))
        for (const auto& function : elements(lease, "functions"))
            table.row(
                {{.text = number(lease, "id")},
                 {.text = text(lease, "pool")},
                 {.text = owner_of(lease)},
                 {.text = text(lease, "guest")},
                 {.text = number(lease, "uid")},
                 {.text = text(lease, "backend")},
                 {.text = moment(lease)},
                 {.text = text(function, "address") + (flag(function, "lost") ? " (lost)" : "")},
                 {.text = number(function, "generation")},
                 {.text = attributes(member(function, "attributes"))}});
    return print(table.str(colour_wanted()));
}

struct ReleaseOptions {
    std::int64_t lease = 0;
    std::int64_t generation = -1;
};

Result<int> release(const Context& context, const ReleaseOptions& options) {
    VFB_TRY(auto client, context.connect());
    std::optional<std::int64_t> generation;
    if (options.generation >= 0) generation = options.generation;
    VFB_CHECK(client::release(client, options.lease, generation));
    return kOk;
}

}  // namespace

void add_lease_list_commands(CLI::App& app, Context& context) {
    auto* list = app.add_subcommand("leases", "List your leases, as root everybody's");
    context.add_json_option(*list);
    list->callback([&context] { context.action = [&context] { return leases(context); }; });

    auto* end = app.add_subcommand("release", "End a lease");
    auto options = std::make_shared<ReleaseOptions>();
    end->add_option("LEASE", options->lease, "Its number")
        ->required()
        ->type_name("")
        ->check(CLI::Range(std::int64_t{0}, INT64_MAX).description(""));
    end->add_option("--generation", options->generation,
                    "Only if its first function still has this generation")
        ->type_name("G")
        ->check(CLI::Range(std::int64_t{0}, INT64_MAX).description(""));
    end->callback([&context, options] {
        context.action = [&context, options] { return release(context, *options); };
    });
}

}  // namespace vfb::cli
