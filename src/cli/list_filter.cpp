// SPDX-License-Identifier: GPL-2.0-or-later
#include "list_filter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "output/fields.hpp"
#include "output/states.hpp"
#include "ranges.hpp"

namespace vfb::cli {
namespace {

using Words = std::vector<std::string>;

bool has(const Words& words, const std::string& word) {
    return std::ranges::find(words, word) != words.end();
}

bool contains_word(const std::string& text, const std::string& part) {
    const auto same = [](unsigned char a, unsigned char b) {
        return std::tolower(a) == std::tolower(b);
    };
    return !std::ranges::search(text, part, same).empty();
}

// Addresses of the configured PFs, by name; a PF that is not in the machine has none.
Result<std::map<std::string, std::string>> pf_addresses(client::Client& client) {
    VFB_TRY(const auto status, client.call("Status", proto::Json::object()));
    std::map<std::string, std::string> addresses;
    for (const auto& pf : elements(status.parameters, "physicalFunctions"))
        addresses.emplace(text(pf, "name"), text(pf, "address"));
    return addresses;
}

Result<> check_pools(client::Client& client, const Words& pools) {
    if (pools.empty()) return {};
    VFB_TRY(const auto reply, client.call("ListPools", proto::Json::object()));
    Words known;
    for (const auto& pool : elements(reply.parameters, "pools"))
        known.push_back(text(pool, "name"));
    for (const auto& pool : pools)
        if (!has(known, pool))
            return fail(Code::not_found, "list the functions of pool " + pool, pool,
                        "no pool has that name", "vfbroker pool");
    return {};
}

}  // namespace

bool ListFilter::empty() const {
    return pools.empty() && pfs.empty() && states.empty() && numa_nodes.empty() &&
           drivers.empty() && classes.empty();
}

bool ListFilter::matches(const client::FunctionSummary& f) const {
    const auto fits = [](const Words& wanted, const auto& one) {
        return wanted.empty() || std::ranges::any_of(wanted, one);
    };
    return fits(pools, [&](const auto& pool) { return f.pool == pool; }) &&
           fits(pfs,
                [&](const auto& pf) { return f.address == pf || f.physical_function == pf; }) &&
           fits(states, [&](const auto& state) { return f.state == state; }) &&
           fits(numa_nodes,
                [&](const auto& node) {
                    return f.numa_node && std::to_string(*f.numa_node) == node;
                }) &&
           fits(drivers,
                [&](const auto& driver) { return f.driver == (driver == "none" ? "" : driver); }) &&
           fits(classes, [&](const auto& name) { return contains_word(f.device_class, name); });
}

Result<> ListFilter::resolve(client::Client& client) {
    VFB_CHECK(check_pools(client, pools));
    if (std::ranges::all_of(pfs, [](const auto& pf) { return pf.contains(':'); })) return {};
    VFB_TRY(const auto addresses, pf_addresses(client));
    for (auto& pf : pfs) {
        if (pf.contains(':')) continue;
        const auto found = addresses.find(pf);
        if (found == addresses.end() || found->second.empty())
            return fail(Code::not_found, "list the functions of PF " + pf, pf,
                        found == addresses.end() ? "no PF of the configuration has that name"
                                                 : "it is not in the machine",
                        "vfbroker status lists the PFs");
        pf = found->second;
    }
    return {};
}

void add_filter_options(CLI::App& app, ListFilter& filter) {
    const auto add = [&app](const char* name, Words& words, const char* help, const char* type) {
        return app.add_option(name, words, help)
            ->type_name(type)
            ->delimiter(',')
            ->allow_extra_args(false);
    };
    add("--pool", filter.pools, "Only functions of that pool", "NAME,...");
    add("--pf", filter.pfs, "Only that PF, by name or address, and its VFs", "PF,...");
    // One that is absent has no address, and is not listed.
    Words states;
    for (const auto& state : function_states())
        if (state.name != "absent") states.emplace_back(state.name);
    add("--state", filter.states, "Only functions in that state", "STATE,...")
        ->check(CLI::IsMember(states).description(""));
    add("--numa", filter.numa_nodes, "Only functions next to that NUMA node", "NODE,...")
        ->check(in_range(0, 65535));
    add("--driver", filter.drivers, "Only functions bound to that driver, or `none`", "DRIVER,...");
    add("--class", filter.classes, "Only functions whose class has that in its name", "TEXT,...");
}

}  // namespace vfb::cli
