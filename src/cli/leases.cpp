// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker leases, vfbroker release.
#include <fmt/format.h>

#include <algorithm>

#include "client/lease_list.hpp"
#include "context.hpp"
#include "exit_codes.hpp"
#include "held.hpp"
#include "moment.hpp"
#include "output/fields.hpp"
#include "output/json.hpp"
#include "output/table.hpp"
#include "ranges.hpp"

namespace vfb::cli {
namespace {

std::string since_of(const proto::Json& lease) {
    const proto::Json& since = member(lease, "since");
    return since.is_number_integer() ? moment_text(since.get<std::int64_t>()) : "";
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
    Table table(columns_of("leases"));
    for (const auto& lease : elements(reply.parameters, "leases"))
        for (const auto& function : elements(lease, "functions"))
            table.row(
                {{.text = number(lease, "id")},
                 {.text = text(lease, "pool")},
                 {.text = owner_of(lease)},
                 {.text = text(lease, "guest")},
                 {.text = number(lease, "uid")},
                 {.text = text(lease, "backend")},
                 {.text = since_of(lease)},
                 {.text = text(function, "address") + (flag(function, "lost") ? " (lost)" : "")},
                 {.text = number(function, "generation")},
                 {.text = attributes(member(function, "attributes"))}});
    return print_table(context, std::move(table));
}

struct ReleaseOptions {
    std::int64_t lease = -1;
    std::int64_t generation = -1;
    std::string guest;
};

// A lease that is to end: of that number, and of that generation if there is one.
proto::Json parameters_of(std::int64_t lease, std::int64_t generation) {
    proto::Json parameters = {{"lease", lease}};
    if (generation >= 0) parameters["generation"] = generation;
    return parameters;
}

// Leases of that guest that the caller may end. A name is no number: several users may have given
// it, and root sees them all.
Result<std::vector<client::LeaseSummary>> leases_of_guest(client::Client& client,
                                                          const std::string& guest) {
    const std::string operation = "release the leases of guest " + guest;
    VFB_TRY(auto leases, client::leases(client));
    std::erase_if(leases, [&](const auto& lease) { return lease.guest != guest; });
    if (leases.empty())
        return fail(Code::not_found, operation, guest, "you have no lease for a guest of that name",
                    "vfbroker leases");
    const auto others = [&](const auto& lease) { return lease.uid != leases.front().uid; };
    if (std::ranges::any_of(leases, others))
        return fail(Code::invalid, operation, guest, "several users have guests of that name",
                    "vfbroker leases lists them; name the lease by its number");
    return leases;
}

Result<int> release_guest(const Context& context, const std::string& guest) {
    VFB_TRY(auto client, context.connect());
    VFB_TRY(const auto leases, leases_of_guest(client, guest));
    proto::Json done = proto::Json::array();
    for (const auto& lease : leases) {
        VFB_TRY(
            auto reply,
            client.call("Release", parameters_of(lease.id, lease.functions.front().generation)));
        tell_held(lease.id, reply.parameters);
        proto::Json entry = {{"lease", lease.id}};
        entry.update(reply.parameters);
        done.push_back(std::move(entry));
    }
    return context.json ? print(json_text({{"leases", std::move(done)}})) : kOk;
}

Result<int> release(const Context& context, const ReleaseOptions& options) {
    if (!options.guest.empty()) return release_guest(context, options.guest);
    if (options.lease < 0)
        return fail(Code::invalid, "release a lease", {}, "none is named",
                    "vfbroker release LEASE, or --guest NAME; vfbroker leases lists them");
    VFB_TRY(auto client, context.connect());
    VFB_TRY(const auto reply,
            client.call("Release", parameters_of(options.lease, options.generation)));
    tell_held(options.lease, reply.parameters);
    return context.json ? print(json_text(reply.parameters)) : kOk;
}

}  // namespace

void add_lease_list_commands(CLI::App& app, Context& context) {
    auto* list = app.add_subcommand("leases", "List your leases, as root everybody's");
    context.add_table_options(*list, true);
    list->callback([&context] { context.action = [&context] { return leases(context); }; });

    auto* end = app.add_subcommand("release", "End a lease");
    auto options = std::make_shared<ReleaseOptions>();
    auto* number = end->add_option("LEASE", options->lease, "Its number")
                       ->type_name("")
                       ->check(in_range(0, INT64_MAX));
    auto* generation = end->add_option("--generation", options->generation,
                                       "Only if its first function still has this generation")
                           ->type_name("G")
                           ->check(in_range(0, INT64_MAX));
    end->add_option("--guest", options->guest, "All leases of the guest of that name")
        ->type_name("NAME")
        ->excludes(number)
        ->excludes(generation);
    context.add_json_option(*end);
    end->callback([&context, options] {
        context.action = [&context, options] { return release(context, *options); };
    });
}

}  // namespace vfb::cli
