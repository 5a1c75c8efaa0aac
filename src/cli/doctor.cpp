// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker doctor.
#include <fmt/format.h>

#include "context.hpp"
#include "exit_codes.hpp"
#include "host_checks.hpp"
#include "output/fields.hpp"
#include "output/findings.hpp"
#include "output/json.hpp"
#include "output/table.hpp"

namespace vfb::cli {
namespace {

constexpr const char* kExitHelp =
    "Exit status:\n"
    "  0    every check passed, or is a note\n"
    "  10   the worst finding is a warning\n"
    "  11   the worst finding is a failure\n"
    "  else the host could not be checked: see vfbroker --help";

// By the daemon where one runs; else by its program, which then says so itself.
Result<proto::Json> diagnose(const Context& context) {
    auto client = context.connect();
    if (!client && client.error().code == Code::not_running) return check_host();
    if (!client) return std::unexpected(std::move(client).error());
    VFB_TRY(auto reply, client->call("Diagnose", proto::Json::object()));
    return std::move(reply.parameters);
}

unsigned count(const std::vector<proto::Json>& findings, std::string_view level) {
    unsigned found = 0;
    for (const auto& finding : findings)
        if (text(finding, "level") == level) ++found;
    return found;
}

std::string counted(unsigned number, std::string_view what) {
    return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s");
}

Result<int> doctor(const Context& context) {
    VFB_TRY(const auto reply, diagnose(context));
    const auto findings = elements(reply, "findings");
    if (findings.empty())
        return fail(Code::protocol, "check this host", "vfbrokerd", "its answer has no findings",
                    "vfbrokerd and its clients may differ in version");
    const unsigned warnings = count(findings, "warn");
    const unsigned failures = count(findings, "fail");
    if (context.json) {
        VFB_CHECK(print(indent(reply.dump(-1, ' ', false, proto::Json::error_handler_t::replace))));
    } else {
        VFB_CHECK(print(set_out_findings(findings, "host", context.screen().coloured) +
                        fmt::format("\n{} passed, {}, {}, {}\n", count(findings, "pass"),
                                    counted(count(findings, "note"), "note"),
                                    counted(warnings, "warning"), counted(failures, "failure"))));
    }
    if (failures > 0) return kDoctorFailure;
    return warnings > 0 ? kDoctorWarning : kOk;
}

}  // namespace

void add_doctor_command(CLI::App& app, Context& context) {
    auto* doctor_app = app.add_subcommand(
        "doctor", "Check what stands in the way of handing out functions on this host");
    context.add_json_option(*doctor_app);
    doctor_app->footer(kExitHelp);
    doctor_app->callback([&context] { context.action = [&context] { return doctor(context); }; });
}

}  // namespace vfb::cli
