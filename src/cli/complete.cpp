// SPDX-License-Identifier: GPL-2.0-or-later
#include "complete.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "client/functions.hpp"
#include "output/columns.hpp"
#include "output/fields.hpp"
#include "output/states.hpp"

namespace vfb::cli {
namespace {

struct Candidate {
    std::string value;
    std::string text;
};
using Candidates = std::vector<Candidate>;
using Source = Candidates (*)(const Context&);

proto::Json ask(const Context& context, const char* method) {
    auto client = context.connect();
    if (!client) return {};
    auto reply = client->call(method, proto::Json::object(), std::chrono::seconds(2));
    return reply ? std::move(reply->parameters) : proto::Json();
}

Candidates functions(const Context& context) {
    Candidates found;
    auto client = context.connect();
    if (!client) return found;
    const auto list = client::list(*client, false);
    if (!list) return found;
    for (const auto& function : *list)
        found.push_back({.value = function.address,
                         .text = fmt::format("{} {}", function.state, function.name)});
    return found;
}

Candidates pools(const Context& context) {
    Candidates found;
    for (const auto& pool : elements(ask(context, "ListPools"), "pools"))
        found.push_back({.value = text(pool, "name"),
                         .text = fmt::format("pool, {} of {} clean", number(pool, "clean"),
                                             number(pool, "total"))});
    return found;
}

Candidates pfs(const Context& context) {
    Candidates found;
    for (const auto& pf : elements(ask(context, "Status"), "physicalFunctions"))
        found.push_back(
            {.value = text(pf, "name"),
             .text = fmt::format("PF {}, {} VFs", text(pf, "address"), number(pf, "present"))});
    return found;
}

Candidates targets(const Context& context) {
    Candidates found = pools(context);
    for (auto& pf : pfs(context)) found.push_back(std::move(pf));
    return found;
}

Candidates lease_ids(const Context& context) {
    Candidates found;
    for (const auto& lease : elements(ask(context, "ListLeases"), "leases")) {
        const std::string guest = text(lease, "guest");
        found.push_back({.value = number(lease, "id"),
                         .text = fmt::format(
                             "pool {}, {}", text(lease, "pool"),
                             guest.empty() ? "pid " + number(lease, "pid") : "guest " + guest)});
    }
    return found;
}

Candidates uses(const Context&) {
    Candidates found;
    for (const char* kind :
         {"address", "default-route", "member", "namespace", "rdma", "route", "socket", "ssh", "up",
          "upper", "xdp", "mount", "swap", "holder", "claimed"})
        found.push_back({.value = kind, .text = "use of the host"});
    return found;
}

Candidates guests(const Context& context) {
    std::set<std::string> names;
    for (const auto& lease : elements(ask(context, "ListLeases"), "leases"))
        if (auto guest = text(lease, "guest"); !guest.empty()) names.insert(std::move(guest));
    Candidates found;
    for (const auto& name : names) found.push_back({.value = name, .text = "guest"});
    return found;
}

// What the functions that List shows have there, each once.
Candidates values_in_list(const Context& context,
                          std::string (*value)(const client::FunctionSummary&)) {
    Candidates found;
    auto client = context.connect();
    if (!client) return found;
    const auto list = client::list(*client, false);
    if (!list) return found;
    std::map<std::string, unsigned> counts;
    for (const auto& function : *list)
        if (auto text = value(function); !text.empty()) ++counts[std::move(text)];
    for (const auto& [text, count] : counts)
        found.push_back({.value = text, .text = fmt::format("{} functions", count)});
    return found;
}

Candidates drivers(const Context& context) {
    return values_in_list(context, [](const auto& function) { return function.driver; });
}

Candidates classes(const Context& context) {
    return values_in_list(context, [](const auto& function) { return function.device_class; });
}

Candidates numa_nodes(const Context& context) {
    return values_in_list(context, [](const auto& function) {
        return function.numa_node ? std::to_string(*function.numa_node) : std::string();
    });
}

Candidates states(const Context&) {
    Candidates found;
    for (const auto& state : function_states())
        if (state.name != "absent")
            found.push_back({.value = std::string(state.name), .text = std::string(state.text)});
    return found;
}

Candidates columns(std::string_view table) {
    Candidates found;
    for (const auto& column : columns_of(table))
        found.push_back({.value = std::string(column.name), .text = std::string(column.text)});
    return found;
}

Candidates topics(const Context&) {
    return {{.value = "states", .text = "What the states mean"},
            {.value = "columns", .text = "What the columns of tables mean"}};
}

// What stands in an argument, by the command and its name.
struct Argument {
    std::string_view command;
    std::string_view name;
    Source source;
};
constexpr std::array kArguments{
    Argument{.command = "", .name = "FUNCTION", .source = functions},
    Argument{.command = "", .name = "POOL", .source = pools},
    Argument{.command = "", .name = "LEASE", .source = lease_ids},
    Argument{.command = "", .name = "TARGET", .source = targets},
    Argument{.command = "", .name = "PF", .source = pfs},
    Argument{.command = "take", .name = "--despite", .source = uses},
    Argument{.command = "", .name = "TOPIC", .source = topics},
    Argument{.command = "", .name = "--function", .source = functions},
    Argument{.command = "", .name = "--guest", .source = guests},
    Argument{.command = "", .name = "--lease", .source = lease_ids},
    Argument{.command = "", .name = "--pool", .source = pools},
    Argument{.command = "", .name = "--pf", .source = pfs},
    Argument{.command = "", .name = "--state", .source = states},
    Argument{.command = "", .name = "--numa", .source = numa_nodes},
    Argument{.command = "", .name = "--driver", .source = drivers},
    Argument{.command = "", .name = "--class", .source = classes},
    Argument{.command = "apply", .name = "--despite", .source = functions},
    Argument{.command = "resize", .name = "--despite", .source = functions},
};

Candidates values_of(const CLI::App& command, const CLI::Option& option, const Context& context) {
    const std::string name = option.get_name();
    for (const auto& argument : kArguments)
        if (name.starts_with(argument.name) &&
            (argument.command.empty() || argument.command == command.get_name()))
            return argument.source(context);
    if (name == "--columns") return columns(command.get_name());
    const std::string type = option.get_type_name();
    if (type.ends_with("PATH")) return {{.value = ":file", .text = {}}};
    // `on|off`: the values are the type.
    Candidates found;
    if (type.find('|') == std::string::npos) return found;
    for (const auto& value : CLI::detail::split(type, '|'))
        found.push_back({.value = value, .text = option.get_description()});
    return found;
}

bool takes_value(const CLI::Option& option) {
    return option.get_items_expected_max() > 0;
}

Candidates options_of(const CLI::App& command) {
    Candidates found;
    for (const auto* option : command.get_options())
        for (const auto& name : option->get_lnames())
            found.push_back({.value = "--" + name, .text = option->get_description()});
    return found;
}

Candidates commands_of(const CLI::App& app) {
    Candidates found;
    for (const auto* command :
         app.get_subcommands([](const CLI::App* one) { return !one->get_name().empty(); }))
        found.push_back({.value = command->get_name(), .text = command->get_description()});
    return found;
}

// Where in the command line the last word stands.
struct Place {
    const CLI::App* command;
    const CLI::Option* option = nullptr;  // whose value it is
    std::size_t position = 0;             // among the arguments
    bool beyond = false;                  // behind `--`: another program's
};

const CLI::App* find_command(const CLI::App& app, const std::string& word) {
    const auto found =
        app.get_subcommands([&](const CLI::App* one) { return one->get_name() == word; });
    return found.empty() ? nullptr : found.front();
}

const CLI::Option* find_option(const CLI::App& command, const std::string& word) {
    return word.starts_with("-") ? command.get_option_no_throw(word) : nullptr;
}

Place find_place(const CLI::App& app, Context& context, std::span<char* const> words) {
    Place place{.command = &app};
    for (const std::string word : words) {
        if (word == "--") place.beyond = true;
        if (place.option != nullptr) {
            if (place.option->get_name() == "--socket") context.socket = word;
            place.option = nullptr;
        } else if (const auto* option = find_option(*place.command, word)) {
            if (takes_value(*option)) place.option = option;
        } else if (const auto* command = find_command(*place.command, word)) {
            place.command = command;
        } else if (!word.starts_with("-")) {
            ++place.position;
        }
    }
    return place;
}

Candidates candidates_at(const Place& place, const CLI::App& app, const std::string& last,
                         const Context& context) {
    if (place.beyond) return {};
    if (place.option != nullptr) return values_of(*place.command, *place.option, context);
    if (last.starts_with("-")) return options_of(*place.command);
    if (place.command == &app) return commands_of(app);
    std::size_t position = 0;
    for (const auto* option : place.command->get_options()) {
        if (!option->get_positional()) continue;
        const bool repeats = option->get_expected_max() > 1;
        if (position == place.position || (repeats && position < place.position))
            return values_of(*place.command, *option, context);
        ++position;
    }
    return {};
}

}  // namespace

int complete(const CLI::App& app, Context& context, std::span<char* const> words) {
    const std::string last = words.empty() ? "" : words.back();
    const Place place =
        find_place(app, context, words.empty() ? words : words.first(words.size() - 1));
    std::string out;
    for (const auto& candidate : candidates_at(place, app, last, context))
        if (candidate.value == ":file" || candidate.value.starts_with(last))
            out += fmt::format("{}\t{}\n", candidate.value, candidate.text);
    if (out.starts_with(":file")) out = ":file\n";
    static_cast<void>(print(out));
    return 0;
}

}  // namespace vfb::cli
