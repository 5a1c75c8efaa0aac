// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker status, vfbroker check, vfbroker reload.
#include <fmt/format.h>

#include "context.hpp"
#include "exit_codes.hpp"
#include "host_checks.hpp"
#include "output/fields.hpp"
#include "output/json.hpp"
#include "output/plan_text.hpp"
#include "output/table.hpp"

namespace vfb::cli {
namespace {

constexpr const char* kCheckExitHelp =
    "Exit status:\n"
    "  0    nothing is wrong with it\n"
    "  1    something is, or it could not be checked";

// What is wrong with the files, before anything else: it decides what all the rest means.
std::string faults(const proto::Json& status) {
    const auto& configuration = member(status, "configuration");
    const auto all = elements(configuration, "faults");
    if (all.empty()) return "";
    std::string out =
        text(configuration, "inForce") == "none"
            ? "configuration: wrong; no pool has functions, and what is leased stays leased\n"
            : "configuration: wrong; the last good one of this boot is in force\n";
    for (const auto& fault : all) {
        out += fmt::format("{}: {}\n", text(fault, "place"), text(fault, "message"));
        if (const auto hint = text(fault, "hint"); !hint.empty())
            out += fmt::format("  hint: {}\n", hint);
    }
    return out + "\n";
}

std::string summary(const proto::Json& status) {
    std::string out = faults(status) + fmt::format("vfbrokerd {}\n", text(status, "version"));
    const std::string backends = joined(status, "backends", ", ");
    out += fmt::format("backends: {}\n", backends.empty() ? "none" : backends);
    if (const auto& missing = member(status, "missing"); missing.is_object())
        for (const auto& [name, reason] : missing.items())
            if (reason.is_string())
                out += fmt::format("no {}: {}\n", name, reason.get_ref<const std::string&>());
    const auto remapping = yes_no(status, "interruptRemapping");
    out += fmt::format("interrupt remapping: {}\n", remapping.empty() ? "not known" : remapping);
    out += fmt::format("functions: {}\n", number(status, "functions"));
    for (const auto& problem : elements(status, "problems"))
        if (problem.is_string())
            out += fmt::format("problem: {}\n", problem.get_ref<const std::string&>());
    return out;
}

Colour colour_of(const std::string& state) {
    if (state == "ready") return Colour::green;
    if (state == "applying") return Colour::yellow;
    return Colour::red;
}

// VFs, and after a resize those that the configuration asks for.
std::string wanted(const proto::Json& pf) {
    const std::string configured = number(pf, "configured");
    if (configured.empty()) return number(pf, "wanted");
    return fmt::format("{} (configured {})", number(pf, "wanted"), configured);
}

std::string physical_functions(const proto::Json& status, const Screen& screen) {
    Table table(columns_of("status"));
    std::string problems;
    for (const auto& pf : elements(status, "physicalFunctions")) {
        const std::string state = text(pf, "state");
        table.row({{.text = text(pf, "name")},
                   {.text = text(pf, "address")},
                   {.text = number(pf, "present")},
                   {.text = wanted(pf)},
                   {.text = flag(pf, "drained") ? state + ", drained" : state,
                    .colour = colour_of(state)}});
        for (const char* what : {"problem", "hint"}) {
            auto said = text(pf, what);
            make_printable(said);
            if (!said.empty())
                problems += fmt::format("{} of {}: {}\n", what, text(pf, "name"), said);
        }
    }
    return table.empty() ? "" : "\n" + table.str(screen) + problems;
}

Result<int> status(const Context& context) {
    if (context.json) return print_reply(context, "Status", proto::Json::object());
    VFB_TRY(auto client, context.connect());
    VFB_TRY(const auto reply, client.call("Status", proto::Json::object()));
    return print(summary(reply.parameters) +
                 physical_functions(reply.parameters, context.screen()));
}

// What a reload began is at rest; what it does not do is left.
std::string left_by_reload(const Context& context, const proto::Json& reply) {
    const auto& left = member(reply, "left");
    if (!left.is_object())
        return "The configuration is in force; functions are still being prepared.\n"
               "hint: vfbroker status shows how far that is\n";
    if (!has_changes(left) && !has_later(left)) return "";
    std::string out = "The configuration is in force. What a reload does not do:\n" +
                      plan_text(left, context.screen().coloured);
    if (has_to_be_applied(left)) out += "hint: vfbroker apply does the rest of it\n";
    return out;
}

Result<int> reload(const Context& context) {
    VFB_TRY(auto client, context.connect());
    auto reply = client.call("Reload", proto::Json::object());
    if (reply && context.json) return print(json_text(reply->parameters));
    if (reply) return print(left_by_reload(context, reply->parameters));
    // A wrong configuration is no wrong use of this command.
    if (reply.error().code == Code::invalid) reply.error().code = Code::failed;
    return std::unexpected(std::move(reply.error()));
}

}  // namespace

void add_daemon_commands(CLI::App& app, Context& context) {
    auto* status_app = app.add_subcommand("status", "Show what vfbrokerd is doing");
    context.add_table_options(*status_app);
    status_app->callback([&context] { context.action = [&context] { return status(context); }; });
    auto* check_app = app.add_subcommand(
        "check", "Say all that is wrong with the configuration; needs no daemon");
    auto directory = std::make_shared<std::string>();
    check_app->add_option("DIR", *directory, "Its folder, if it is not /etc/vfbroker")
        ->type_name("PATH");
    context.add_json_option(*check_app);
    check_app->footer(kCheckExitHelp);
    check_app->callback([&context, directory] {
        context.action = [&context, directory] {
            return check_configuration(*directory, context.json);
        };
    });
    auto* reload_app = app.add_subcommand(
        "reload", "Read the configuration again, and say what that does not do (root only)");
    context.add_json_option(*reload_app);
    reload_app->callback([&context] { context.action = [&context] { return reload(context); }; });
}

}  // namespace vfb::cli
