// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker list, show and explain. show.cpp and explain.cpp set a function out in lines.
#include "client/functions.hpp"

#include <fmt/format.h>

#include <map>

#include "context.hpp"
#include "explain.hpp"
#include "output/json.hpp"
#include "output/table.hpp"
#include "show.hpp"

namespace vfb::cli {
namespace {

using client::FunctionSummary;

std::string shown(const std::optional<std::int64_t>& value) {
    return value ? std::to_string(*value) : "";
}

// `PF 2/7`: VFs that are there and could be; `VF 3`: its index.
std::string role_of(const FunctionSummary& function) {
    if (function.index) return fmt::format("VF {}", *function.index);
    if (function.total_vfs)
        return fmt::format("PF {}/{}", function.vfs.value_or(0), *function.total_vfs);
    return "";
}

Table new_table() {
    return Table({"ADDRESS", "ROLE", "DRIVER", "NETDEV", "GROUP", "NUMA", "POOL", "STATE", "LEASE",
                  "DEVICE"});
}

void add_row(Table& table, const FunctionSummary& function, const char* indentation = "") {
    table.row({{.text = indentation + function.address},
               {.text = role_of(function)},
               {.text = function.driver},
               {.text = function.netdevs},
               {.text = shown(function.group)},
               {.text = shown(function.numa_node)},
               {.text = function.pool},
               {.text = function.state, .colour = colour_of_state(function.state)},
               {.text = shown(function.lease)},
               {.text = function.name.empty() ? function.ids : function.name}});
}

Table flat(const client::FunctionList& functions) {
    Table table = new_table();
    for (const auto& function : functions) add_row(table, function);
    return table;
}

// VFs below their PF, in the order of their index; a VF whose PF is not listed stands alone.
Table tree(const client::FunctionList& functions) {
    std::map<std::string_view, std::map<std::int64_t, const FunctionSummary*>> vfs;
    for (const auto& function : functions) vfs[function.address];
    for (const auto& function : functions)
        if (function.index && vfs.contains(function.physical_function))
            vfs[function.physical_function].emplace(*function.index, &function);
    Table table = new_table();
    for (const auto& function : functions) {
        if (function.index && vfs.contains(function.physical_function)) continue;
        add_row(table, function);
        for (const auto& [index, vf] : vfs[function.address]) add_row(table, *vf, "  ");
    }
    return table;
}

struct ListOptions {
    bool tree = false;
    bool all = false;
};

Result<int> list(const Context& context, const ListOptions& options) {
    if (context.json) return print_reply(context, "List", {{"managed", !options.all}});
    VFB_TRY(auto client, context.connect());
    VFB_TRY(const auto functions, client::list(client, !options.all));
    const Table table = options.tree ? tree(functions) : flat(functions);
    return print(table.str(colour_wanted()));
}

Result<int> show(const Context& context, const std::string& function) {
    const proto::Json parameters = {{"function", function}};
    if (context.json) return print_reply(context, "Show", parameters);
    VFB_TRY(auto client, context.connect());
    VFB_TRY(const auto reply, client.call("Show", parameters));
    return print(describe(reply.parameters));
}

Result<int> explain(const Context& context, const std::string& function) {
    const proto::Json parameters = {{"function", function}};
    if (context.json) return print_reply(context, "Explain", parameters);
    VFB_TRY(auto client, context.connect());
    VFB_TRY(const auto reply, client.call("Explain", parameters));
    return print(set_out_explanation(reply.parameters, colour_wanted()));
}

}  // namespace

void add_function_commands(CLI::App& app, Context& context) {
    auto* list_app = app.add_subcommand("list", "List PFs and the functions of pools");
    auto list_options = std::make_shared<ListOptions>();
    list_app->add_flag("--tree", list_options->tree, "Show VFs below their PF");
    list_app->add_flag("--all", list_options->all, "Also functions that are in no pool");
    context.add_json_option(*list_app);
    list_app->callback([&context, list_options] {
        context.action = [&context, list_options] { return list(context, *list_options); };
    });

    auto* show_app = app.add_subcommand("show", "Show all that is known of a function");
    auto function = std::make_shared<std::string>();
    show_app->add_option("FUNCTION", *function, "Its address, as 0000:01:10.0")
        ->required()
        ->type_name("");
    context.add_json_option(*show_app);
    show_app->callback([&context, function] {
        context.action = [&context, function] { return show(context, *function); };
    });

    auto* explain_app =
        app.add_subcommand("explain", "Say whether a function can be leased, and if not why");
    auto explained = std::make_shared<std::string>();
    explain_app->add_option("FUNCTION", *explained, "Its address, as 0000:01:10.0")
        ->required()
        ->type_name("");
    context.add_json_option(*explain_app);
    explain_app->callback([&context, explained] {
        context.action = [&context, explained] { return explain(context, *explained); };
    });
}

}  // namespace vfb::cli
