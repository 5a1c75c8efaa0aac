// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker log: who had a function and when, from the journal.
#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <ctime>

#include "context.hpp"
#include "exit_codes.hpp"
#include "journal.hpp"
#include "moment.hpp"
#include "output/addresses.hpp"
#include "output/json.hpp"
#include "output/log_text.hpp"
#include "ranges.hpp"

namespace vfb::cli {
namespace {

struct LogOptions {
    LogQuery query;
    std::string since;
};

// Of a user that there is no more, the number.
std::string user_name(std::int64_t uid) {
    const passwd* user = ::getpwuid(static_cast<uid_t>(uid));
    return user == nullptr ? std::to_string(uid) : user->pw_name;
}

Result<int> log(const Context& context, LogOptions options) {
    auto& function = options.query.function;
    constexpr std::string_view kWithoutDomain = "01:10.0";
    if (function.size() == kWithoutDomain.size()) function.insert(0, "0000:");
    if (!function.empty() && !is_address(function))
        return fail(Code::invalid, "show the log of " + function, function,
                    "it is no address of a function", "as 0000:01:10.0; vfbroker list --all");
    if (!options.since.empty()) {
        VFB_TRY(options.query.since, parse_moment(options.since, ::time(nullptr)));
    }
    VFB_TRY(const auto entries, read_journal(options.query));
    if (context.json) return print(json_text(log_json(entries)));
    return print_table(context, log_table(entries, user_name));
}

}  // namespace

void add_log_command(CLI::App& app, Context& context) {
    auto* log_app = app.add_subcommand("log", "Show from the journal who had a function, and when");
    auto options = std::make_shared<LogOptions>();
    auto& query = options->query;
    log_app->add_option("FUNCTION", query.function, "Its address, as 0000:01:10.0; without: all")
        ->type_name("");
    log_app->add_option("--since", options->since, "From then on: today, \"2h ago\", 2026-01-31")
        ->type_name("TIME");
    log_app
        ->add_option_function<std::int64_t>(
            "--lease", [options](const std::int64_t& lease) { options->query.lease = lease; },
            "Only of the lease with that number")
        ->type_name("LEASE")
        ->check(in_range(0, INT64_MAX));
    log_app->add_option("--guest", query.guest, "Only of leases for the guest of that name")
        ->type_name("NAME");
    log_app->add_option("--pool", query.pool, "Only of that pool")->type_name("NAME");
    log_app
        ->add_option_function<std::size_t>(
            "-n,--lines", [options](const std::size_t& most) { options->query.most = most; },
            "Only the last N")
        ->type_name("N")
        ->check(in_range(1, 1'000'000'000));
    context.add_table_options(*log_app, true);
    log_app->callback([&context, options] {
        context.action = [&context, options] { return log(context, *options); };
    });
}

}  // namespace vfb::cli
