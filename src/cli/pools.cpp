// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker pool.
#include <fmt/format.h>

#include "context.hpp"
#include "output/fields.hpp"
#include "output/table.hpp"

namespace vfb::cli {
namespace {

Cell count_cell(const proto::Json& pool, const char* state) {
    std::string count = number(pool, state);
    // Colour where there is something to see.
    const Colour colour = count == "0" ? Colour::none : colour_of_state(state);
    return {.text = std::move(count), .colour = colour};
}

Result<int> pool(const Context& context) {
    if (context.json) return print_reply(context, "ListPools", proto::Json::object());
    VFB_TRY(auto client, context.connect());
    VFB_TRY(const auto reply, client.call("ListPools", proto::Json::object()));
    Table table(columns_of("pool"));
    std::string problems;
    for (const auto& entry : elements(reply.parameters, "pools")) {
        const std::string backend = text(entry, "backend");
        table.row({{.text = text(entry, "name")},
                   {.text = number(entry, "total")},
                   count_cell(entry, "clean"),
                   count_cell(entry, "leased"),
                   count_cell(entry, "preparing"),
                   count_cell(entry, "dirty"),
                   count_cell(entry, "quarantined"),
                   count_cell(entry, "stuck"),
                   count_cell(entry, "absent"),
                   count_cell(entry, "drained"),
                   {.text = backend.empty() ? "any" : backend},
                   {.text = yes_no(entry, "allowed")}});
        for (const auto& problem : elements(entry, "problems"))
            if (problem.is_string())
                problems += fmt::format("{}: {}\n", text(entry, "name"),
                                        problem.get_ref<const std::string&>());
    }
    VFB_CHECK(print_table(context, std::move(table)));
    return print(problems);
}

}  // namespace

void add_pool_command(CLI::App& app, Context& context) {
    auto* pool_app = app.add_subcommand("pool", "List the pools and how full they are");
    context.add_table_options(*pool_app, true);
    pool_app->callback([&context] { context.action = [&context] { return pool(context); }; });
}

}  // namespace vfb::cli
