// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker drain, vfbroker resume, vfbroker resize, vfbroker take.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "context.hpp"
#include "despite.hpp"
#include "exit_codes.hpp"
#include "output/fields.hpp"
#include "output/json.hpp"
#include "ranges.hpp"

namespace vfb::cli {
namespace {

constexpr std::int64_t kMostSeconds = 7 * 24 * 3600;

struct DrainOptions {
    std::string target;
    std::optional<std::int64_t> wait;
};

Result<int> drain(const Context& context, const DrainOptions& options) {
    proto::Json parameters{{"target", options.target}};
    if (options.wait) parameters["waitSeconds"] = *options.wait;
    if (context.json) return print_reply(context, "Drain", parameters);
    VFB_TRY(auto client, context.connect());
    VFB_TRY(const auto reply, client.call("Drain", parameters));
    std::vector<std::string> left;
    for (const auto& lease : elements(reply.parameters, "leases")) left.push_back(lease.dump());
    if (left.empty())
        return print(fmt::format("{} is drained, nothing of it is leased\n", options.target));
    return print(
        fmt::format("{} is drained; {} left of it: {}\n", options.target,
                    left.size() == 1 ? "1 lease is" : fmt::format("{} leases are", left.size()),
                    fmt::join(left, ", ")));
}

Result<int> call(const Context& context, const char* method, const proto::Json& parameters) {
    VFB_TRY(auto client, context.connect());
    VFB_TRY(const auto reply, client.call(method, parameters));
    return context.json ? print(json_text(reply.parameters)) : kOk;
}

struct ResizeOptions {
    std::string pf;
    std::int64_t vfs = 0;
    std::vector<std::string> despite;
};

Result<int> resize(const Context& context, const ResizeOptions& options) {
    VFB_TRY(const auto despite, despite_json(options.despite));
    return call(context, "Resize",
                {{"physicalFunction", options.pf}, {"vfs", options.vfs}, {"despite", despite}});
}

struct TakeOptions {
    std::string function;
    std::string despite;
};

Result<int> take(const Context& context, const TakeOptions& options) {
    VFB_TRY(const auto reasons, reasons_json(options.despite));
    return call(context, "Take", {{"function", options.function}, {"despite", reasons}});
}

void add_drain(CLI::App& app, Context& context) {
    auto* drain_app = app.add_subcommand(
        "drain", "Lease nothing of a PF or pool from now on (root only), until resume");
    auto options = std::make_shared<DrainOptions>();
    drain_app->add_option("TARGET", options->target, "Name of a PF or pool, or address of a PF")
        ->required()
        ->type_name("");
    drain_app
        ->add_option_function<std::int64_t>(
            "--wait", [options](const std::int64_t& given) { options->wait = given; },
            "Wait that long for its leases to end (without a number: a week)")
        ->type_name("SECONDS")
        ->expected(0, 1)
        ->default_str(std::to_string(kMostSeconds))
        ->check(in_range(0, kMostSeconds));
    context.add_json_option(*drain_app);
    drain_app->callback([&context, options] {
        context.action = [&context, options] { return drain(context, *options); };
    });

    auto* resume_app = app.add_subcommand("resume", "End a drain (root only)");
    auto target = std::make_shared<std::string>();
    resume_app->add_option("TARGET", *target, "What was drained")->required()->type_name("");
    context.add_json_option(*resume_app);
    resume_app->callback([&context, target] {
        context.action = [&context, target] {
            return call(context, "Resume", {{"target", *target}});
        };
    });
}

}  // namespace

void add_resize_commands(CLI::App& app, Context& context) {
    add_drain(app, context);

    auto* resize_app = app.add_subcommand(
        "resize", "Give a PF another number of VFs, all of them new (root only)");
    auto options = std::make_shared<ResizeOptions>();
    resize_app->add_option("PF", options->pf, "Its name or address")->required()->type_name("");
    resize_app->add_option("N", options->vfs, "How many VFs")
        ->required()
        ->type_name("")
        ->check(in_range(1, 65535));
    add_despite_option(*resize_app, options->despite);
    context.add_json_option(*resize_app);
    resize_app->callback([&context, options] {
        context.action = [&context, options] { return resize(context, *options); };
    });

    auto* take_app = app.add_subcommand(
        "take", "Take a VF from the host that was refused because it is in use (root only)");
    auto take_options = std::make_shared<TakeOptions>();
    take_app->add_option("FUNCTION", take_options->function, "Its address")
        ->required()
        ->type_name("");
    take_app
        ->add_option("--despite", take_options->despite,
                     "What the host uses it for, each word of it (see show); logged")
        ->required()
        ->type_name("REASON,...");
    context.add_json_option(*take_app);
    take_app->callback([&context, take_options] {
        context.action = [&context, take_options] { return take(context, *take_options); };
    });
}

}  // namespace vfb::cli
