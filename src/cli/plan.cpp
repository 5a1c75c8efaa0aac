// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker plan, vfbroker apply.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <iostream>

#include "base/sys_root.hpp"
#include "context.hpp"
#include "despite.hpp"
#include "exit_codes.hpp"
#include "output/fields.hpp"
#include "output/json.hpp"
#include "output/plan_text.hpp"
#include "output/table.hpp"

namespace vfb::cli {
namespace {

struct PlanOptions {
    std::vector<std::string> with;     // FILE=PATH
    std::vector<std::string> without;  // FILE
};

struct ApplyOptions {
    bool dry_run = false;
    bool yes = false;
    std::vector<std::string> despite;
};

// A wrong configuration is no wrong use of these commands.
Result<client::Reply> call(client::Client& client, const char* method,
                           const proto::Json& parameters) {
    auto reply = client.call(method, parameters);
    if (!reply && reply.error().code == Code::invalid) reply.error().code = Code::failed;
    return reply;
}

Result<int> show(const Context& context, const proto::Json& plan) {
    const std::string out =
        context.json ? indent(plan.dump()) + "\n" : plan_text(plan, context.screen().coloured);
    VFB_CHECK(print(out));
    return has_changes(plan) ? kChanges : kOk;
}

Result<std::string> read_text(const std::string& path) {
    const auto whole = std::filesystem::path(path).lexically_normal();
    const std::string folder = whole.parent_path();
    VFB_TRY(const auto dir, Dir::open(folder.empty() ? "." : folder));
    return dir.read(whole.filename());
}

// As io.vfbroker []ConfigurationFile.
Result<proto::Json> files_json(const PlanOptions& options) {
    proto::Json files = proto::Json::array();
    for (const auto& value : options.with) {
        const auto equals = value.find('=');
        if (equals == 0 || equals == std::string::npos || equals + 1 == value.size())
            return fail(Code::invalid, "read --with " + value, value,
                        "it does not say which file, and where its text is",
                        "--with vfbroker.toml=new.toml");
        VFB_TRY(auto text, read_text(value.substr(equals + 1)));
        files.push_back({{"path", value.substr(0, equals)}, {"text", std::move(text)}});
    }
    for (const auto& value : options.without) files.push_back({{"path", value}});
    return files;
}

Result<int> plan(const Context& context, const PlanOptions& options) {
    proto::Json parameters = proto::Json::object();
    VFB_TRY(auto files, files_json(options));
    if (!files.empty()) parameters["instead"] = std::move(files);
    VFB_TRY(auto client, context.connect());
    VFB_TRY(const auto reply, call(client, "Plan", parameters));
    return show(context, member(reply.parameters, "plan"));
}

Result<bool> ask() {
    if (::isatty(STDIN_FILENO) == 0)
        return fail(Code::invalid, "apply the configuration", {},
                    "nobody is there to say that this is wanted", "vfbroker apply --yes");
    fmt::print(stderr, "Apply this? [y/N] ");
    std::string answer;
    std::getline(std::cin, answer);
    return answer == "y" || answer == "Y" || answer == "yes";
}

// How far it is, on a terminal, from the first second on.
class Progress {
public:
    void show(const proto::Json& now) {
        const auto since = std::chrono::steady_clock::now() - begin_;
        if (::isatty(STDERR_FILENO) == 0 || since < std::chrono::seconds(1)) return;
        shown_ = true;
        fmt::print(stderr, "\r{}\x1b[K", progress_text(now));
    }
    void end() const {
        if (shown_) fmt::print(stderr, "\r\x1b[K");
    }

private:
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    bool shown_ = false;
};

Result<int> report(const Context& context, const proto::Json& left) {
    if (context.json) {
        VFB_CHECK(print(indent(left.dump()) + "\n"));
    } else if (has_changes(left)) {
        VFB_CHECK(print("Not everything could be applied. What is left:\n" +
                        plan_text(left, context.screen().coloured)));
    } else {
        VFB_CHECK(print("Applied. " + plan_text(left, context.screen().coloured)));
    }
    if (!has_changes(left)) return kOk;
    return has_blocked(left) ? kBusy : kFailure;
}

Result<int> apply(const Context& context, const ApplyOptions& options) {
    VFB_TRY(const auto despite, despite_json(options.despite));
    VFB_TRY(auto client, context.connect());
    VFB_TRY(const auto planned, call(client, "Plan", {{"despite", despite}}));
    const proto::Json& shown = member(planned.parameters, "plan");
    if (options.dry_run) return show(context, shown);
    if (!context.json) VFB_CHECK(print(plan_text(shown, context.screen().coloured)));
    if (!options.yes && has_changes(shown)) {
        VFB_TRY(const bool wanted, ask());
        if (!wanted) return kFailure;
    }
    Progress progress;
    auto reply = client.call_more("Apply", {{"plan", text(shown, "id")}, {"despite", despite}},
                                  [&](const proto::Json& now) { progress.show(now); });
    progress.end();
    if (!reply) return std::unexpected(std::move(reply).error());
    return report(context, member(reply->parameters, "left"));
}

}  // namespace

void add_plan_commands(CLI::App& app, Context& context) {
    auto* plan_app = app.add_subcommand(
        "plan", "Show what apply would change (root only); exit status 2: something");
    auto plan_options = std::make_shared<PlanOptions>();
    plan_app
        ->add_option("--with", plan_options->with,
                     "As if FILE of the configuration had the text of PATH")
        ->type_name("FILE=PATH")
        ->allow_extra_args(false);
    plan_app
        ->add_option("--without", plan_options->without,
                     "As if FILE of the configuration were not there")
        ->type_name("FILE")
        ->allow_extra_args(false);
    context.add_json_option(*plan_app);
    plan_app->callback([&context, plan_options] {
        context.action = [&context, plan_options] { return plan(context, *plan_options); };
    });

    auto* apply_app =
        app.add_subcommand("apply", "Bring the machine to what the configuration says (root only)");
    auto options = std::make_shared<ApplyOptions>();
    apply_app->add_flag("--dry-run", options->dry_run, "Only show it, as plan does");
    apply_app->add_flag("--yes", options->yes, "Do not ask");
    add_despite_option(*apply_app, options->despite);
    context.add_json_option(*apply_app);
    apply_app->callback([&context, options] {
        context.action = [&context, options] { return apply(context, *options); };
    });
}

}  // namespace vfb::cli
