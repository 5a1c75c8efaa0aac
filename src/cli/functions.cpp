// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker list, show and explain. show.cpp and explain.cpp set a function out in lines.
#include "client/functions.hpp"

#include <fmt/format.h>

#include <map>

#include "context.hpp"
#include "explain.hpp"
#include "list_filter.hpp"
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
        return fmt::format("PF {}/{}", function.vfs ? shown(function.vfs) : "?",
                           *function.total_vfs);
    return "";
}

Table new_table() {
    return Table(columns_of("list"));
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
    ListFilter filter;
};

// The reply without the functions that are not asked for.
Result<int> print_filtered(std::string_view reply, const ListFilter& filter) {
    VFB_TRY(const auto functions, client::read_functions(reply));
    auto whole = proto::Json::parse(reply, nullptr, false);
    proto::Json kept = proto::Json::array();
    for (std::size_t i = 0; i < functions.size(); ++i)
        if (filter.matches(functions[i])) kept.push_back(std::move(whole["functions"][i]));
    whole["functions"] = std::move(kept);
    return print(json_text(whole));
}

Result<int> list(const Context& context, ListOptions options) {
    VFB_TRY(auto client, context.connect());
    VFB_CHECK(options.filter.resolve(client));
    const bool managed = !options.all;
    if (context.json) {
        VFB_TRY(const auto reply, client.call_text("List", {{"managed", managed}}));
        if (options.filter.empty()) return print(indent(reply));
        return print_filtered(reply, options.filter);
    }
    VFB_TRY(auto functions, client::list(client, managed));
    if (!options.filter.empty())
        std::erase_if(functions, [&](const auto& one) { return !options.filter.matches(one); });
    return print_table(context, options.tree ? tree(functions) : flat(functions));
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
    return print(set_out_explanation(reply.parameters, context.screen()));
}

}  // namespace

void add_function_commands(CLI::App& app, Context& context) {
    auto* list_app = app.add_subcommand("list", "List PFs and the functions of pools");
    auto list_options = std::make_shared<ListOptions>();
    list_app->add_flag("--tree", list_options->tree, "Show VFs below their PF");
    list_app->add_flag("--all", list_options->all, "Also functions that are in no pool");
    add_filter_options(*list_app, list_options->filter);
    context.add_table_options(*list_app, true);
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
    context.add_table_options(*explain_app);
    explain_app->callback([&context, explained] {
        context.action = [&context, explained] { return explain(context, *explained); };
    });
}

}  // namespace vfb::cli
