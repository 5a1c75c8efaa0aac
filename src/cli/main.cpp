// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker: the command line of vfbrokerd, one of its clients.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <span>

#include "complete.hpp"
#include "context.hpp"
#include "exit_codes.hpp"
#include "output/json.hpp"

namespace vfb::cli {
namespace {

// Help in the same form by each version of CLI11: from 2.5 on it fills paragraphs, tables among
// them, and has headings in capitals.
template <class Formatter>
void keep_lines(Formatter& formatter) {
    if constexpr (requires { formatter.enable_footer_formatting(false); }) {
        formatter.enable_footer_formatting(false);
        formatter.enable_description_formatting(false);
    }
}

void name_groups(CLI::App& app) {
    for (CLI::App* command : app.get_subcommands([](CLI::App* /*any*/) { return true; })) {
        // One that is hidden has none.
        if (!command->get_group().empty()) command->group("Subcommands");
        name_groups(*command);
    }
}

void set_up(CLI::App& app, Context& context) {
    app.name("vfbroker");
    app.require_subcommand(1);
    keep_lines(*app.get_formatter());
    app.option_defaults()->group("Options");
    app.get_help_ptr()->group("Options");
    app.set_version_flag("--version", std::string("vfbroker ") + VFB_VERSION, "Print the version");
    app.add_option("--socket", context.socket, "Socket of vfbrokerd")
        ->type_name("PATH")
        ->capture_default_str();
    add_function_commands(app, context);
    add_pool_command(app, context);
    add_lease_command(app, context);
    add_lease_list_commands(app, context);
    add_run_command(app, context);
    add_attach_commands(app, context);
    add_plan_commands(app, context);
    add_resize_commands(app, context);
    add_daemon_commands(app, context);
    add_doctor_command(app, context);
    add_log_command(app, context);
    add_help_command(app, context);
    app.footer(kExitCodesHelp);
    name_groups(app);
}

void report(const Error& error, bool json) {
    // Nothing is left to tell when this cannot be written either.
    if (json) static_cast<void>(print(error_json(error)));
    fmt::print(stderr, "vfbroker: {}\n", error.message());
    if (!error.hint.empty()) fmt::print(stderr, "hint: {}\n", error.hint);
}

// Help and version are "errors" of the parser that belong on standard output.
int answer(const CLI::App& app, const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    const auto chosen = app.get_subcommands();
    const std::string command = chosen.empty() ? "" : " " + chosen.front()->get_name();
    const auto unknown = app.remaining();
    const std::string why = chosen.empty() && !unknown.empty()
                                ? fmt::format("there is no command or option {}", unknown.front())
                                : error.what();
    fmt::print(stderr, "vfbroker: {}\nhint: vfbroker{} --help\n", why, command);
    return kUsage;
}

int run(std::span<char*> arguments) {
    Context context;
    CLI::App app("Hands PCI functions to virtual machines and containers.");
    set_up(app, context);
    if (arguments.size() > 1 && arguments[1] == kComplete)
        return complete(app, context, arguments.subspan(2));
    // What stands behind `--` is another program's command line and none of the parser's business.
    const auto end = std::ranges::find(arguments, std::string_view("--"),
                                       [](const char* word) { return std::string_view(word); });
    context.command_given = end != arguments.end();
    if (context.command_given) context.command.assign(std::next(end), arguments.end());
    try {
        app.parse(static_cast<int>(std::distance(arguments.begin(), end)), arguments.data());
    } catch (const CLI::ParseError& error) {
        return answer(app, error);
    }
    if (context.command_given && !app.got_subcommand("run")) {
        fmt::print(stderr,
                   "vfbroker: only `run` takes a command after --\n"
                   "hint: vfbroker --help\n");
        return kUsage;
    }
    const auto status = context.action();
    if (status) return *status;
    report(status.error(), context.json);
    return exit_code(status.error().code);
}

}  // namespace
}  // namespace vfb::cli

int main(int argc, char** argv) {
    try {
        return vfb::cli::run({argv, static_cast<std::size_t>(argc)});
    } catch (const std::exception& error) {
        // Out of memory, at most: our own functions return their errors.
        std::fprintf(stderr, "vfbroker: %s\n", error.what());
        return vfb::cli::kFailure;
    }
}
