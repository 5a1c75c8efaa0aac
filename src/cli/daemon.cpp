// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker status, vfbroker reload.
#include <fmt/format.h>

#include "context.hpp"
#include "exit_codes.hpp"
#include "output/fields.hpp"
#include "output/json.hpp"
#include "output/table.hpp"

namespace vfb::cli {
namespace {

std::string summary(const proto::Json& status) {
    std::string out = fmt::format("vfbrokerd {}\n", text(status, "version"));
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

Result<int> reload(const Context& context) {
    VFB_TRY(auto client, context.connect());
    auto reply = client.call("Reload", proto::Json::object());
    if (reply) return context.json ? print(json_text(reply->parameters)) : Result<int>(kOk);
    // A wrong configuration is no wrong use of this command.
    if (reply.error().code == Code::invalid) reply.error().code = Code::failed;
    return std::unexpected(std::move(reply.error()));
}

}  // namespace

void add_daemon_commands(CLI::App& app, Context& context) {
    auto* status_app = app.add_subcommand("status", "Show what vfbrokerd is doing");
    context.add_table_options(*status_app);
    status_app->callback([&context] { context.action = [&context] { return status(context); }; });
    auto* reload_app = app.add_subcommand("reload", "Read the configuration again (root only)");
    context.add_json_option(*reload_app);
    reload_app->callback([&context] { context.action = [&context] { return reload(context); }; });
}

}  // namespace vfb::cli
