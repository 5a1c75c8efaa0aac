// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker help: of the program, of a command, or what stands in the tables.
#include <fmt/format.h>

#include <algorithm>

#include "context.hpp"
#include "output/columns.hpp"
#include "output/states.hpp"

namespace vfb::cli {
namespace {

constexpr std::size_t kLine = 78;

// `text` behind a word, in lines that fit any terminal.
std::string entry(std::string_view word, std::string_view text, std::size_t indentation) {
    std::string out = fmt::format("  {:<{}}", word, indentation - 2);
    std::size_t column = indentation;
    while (!text.empty()) {
        const auto space = std::min(text.find(' '), text.size());
        const auto part = text.substr(0, space);
        if (column + part.size() > kLine && column > indentation) {
            out.back() = '\n';
            out.append(indentation, ' ');
            column = indentation;
        }
        out += part;
        out += ' ';
        column += part.size() + 1;
        text.remove_prefix(std::min(space + 1, text.size()));
    }
    out.back() = '\n';
    return out;
}

std::string states_text() {
    std::string out;
    for (const auto& kind : state_kinds()) {
        out += fmt::format("{}{}:\n", out.empty() ? "" : "\n", kind.title);
        for (const auto& state : kind.states) out += entry(state.name, state.text, 16);
    }
    return out;
}

std::string columns_text() {
    std::string out;
    for (const auto& table : table_kinds()) {
        out += fmt::format("{}{}:\n", out.empty() ? "" : "\n", table.name);
        for (const auto& column : table.columns) out += entry(column.name, column.text, 20);
    }
    out +=
        "\nWhere nothing is known, and where there is nothing, a column has `-`. On a terminal\n"
        "that is too narrow columns are left out, those first that say nothing, or cut;\n"
        "--wide shows all.\n";
    return out;
}

Result<int> help(const CLI::App& app, const std::string& topic) {
    // Not App::help(), which is that of the command that was given.
    if (topic.empty())
        return print(
            app.get_formatter()->make_help(&app, app.get_name(), CLI::AppFormatMode::Normal));
    if (topic == "states") return print(states_text());
    if (topic == "columns") return print(columns_text());
    const auto commands =
        app.get_subcommands([&](const CLI::App* one) { return one->get_name() == topic; });
    if (!commands.empty()) return print(commands.front()->help(app.get_name()));
    return fail(Code::invalid, "help with " + topic, topic, "there is no command or topic of it",
                "vfbroker help; topics are states and columns");
}

}  // namespace

void add_help_command(CLI::App& app, Context& context) {
    auto* help_app =
        app.add_subcommand("help", "Explain a command, or what `states` and `columns` mean");
    auto topic = std::make_shared<std::string>();
    help_app->add_option("TOPIC", *topic, "A command, states, or columns")->type_name("");
    help_app->callback(
        [&app, &context, topic] { context.action = [&app, topic] { return help(app, *topic); }; });
}

}  // namespace vfb::cli
