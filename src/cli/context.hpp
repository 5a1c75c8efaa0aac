// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the commands share: the options of the whole program, and what the command line chose.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "client/client.hpp"
#include "output/table.hpp"

namespace vfb::cli {

struct Context {
    std::string socket{proto::kSocketPath};
    bool json = false;                 // --json of the chosen command
    bool wide = false;                 // --wide of it
    std::vector<std::string> columns;  // --columns of it
    std::vector<std::string> command;  // the words after `--`
    bool command_given = false;        // whether there was a `--`
    // Set while the command line is read; run afterwards. Returns the exit status.
    std::function<Result<int>()> action;

    [[nodiscard]] Result<client::Client> connect() const { return client::Client::connect(socket); }
    void add_json_option(CLI::App& command_app) {
        command_app.add_flag("--json", json, "Print JSON");
    }
    // --json, --wide, and --columns where the table is the whole output.
    void add_table_options(CLI::App& command_app, bool choice = false) {
        add_json_option(command_app);
        command_app.add_flag("--wide", wide,
                             "Leave out and cut nothing where the terminal is too narrow");
        if (!choice) return;
        command_app
            .add_option("--columns", columns, "Only these columns: see vfbroker help columns")
            ->type_name("NAME,...")
            ->delimiter(',')
            ->allow_extra_args(false)
            ->excludes("--json");
    }
    [[nodiscard]] Screen screen() const { return standard_output(wide); }
};

// Prints on standard output, all of it or an error.
Result<int> print(std::string_view text);
// Prints the table as --columns and --wide say.
Result<int> print_table(const Context& context, Table table);
// Calls `method` and prints its reply as --json does.
Result<int> print_reply(const Context& context, std::string_view method,
                        const proto::Json& parameters);

// One for each file of commands. Both arguments outlive the program's work.
void add_function_commands(CLI::App& app, Context& context);  // list, show, explain
void add_help_command(CLI::App& app, Context& context);
void add_log_command(CLI::App& app, Context& context);
void add_pool_command(CLI::App& app, Context& context);
void add_lease_command(CLI::App& app, Context& context);
void add_lease_list_commands(CLI::App& app, Context& context);  // leases, release
void add_run_command(CLI::App& app, Context& context);
void add_attach_commands(CLI::App& app, Context& context);  // attach, detach
void add_daemon_commands(CLI::App& app, Context& context);  // status, check, reload
void add_plan_commands(CLI::App& app, Context& context);    // plan, apply
void add_resize_commands(CLI::App& app, Context& context);  // drain, resume, resize, take
void add_doctor_command(CLI::App& app, Context& context);

}  // namespace vfb::cli
