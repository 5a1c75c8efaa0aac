// SPDX-License-Identifier: GPL-2.0-or-later
//
// Which functions `vfbroker list` shows: --pool, --pf, --state, --numa, --driver, --class.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "client/functions.hpp"

namespace vfb::cli {

// A function is shown when each option that was given has a value that fits it. What is not known
// of a function fits nothing.
struct ListFilter {
    std::vector<std::string> pools;
    std::vector<std::string> pfs;  // addresses, or names until resolve(): them and their VFs
    std::vector<std::string> states;
    std::vector<std::string> numa_nodes;
    std::vector<std::string> drivers;  // `none`: bound to none
    std::vector<std::string> classes;  // part of the name, in any case

    [[nodiscard]] bool empty() const;
    [[nodiscard]] bool matches(const client::FunctionSummary& function) const;
    // Makes addresses of names of PFs. Code::not_found for a PF or pool that there is not: nothing
    // would be shown, as if it had no functions.
    Result<> resolve(client::Client& client);
};

void add_filter_options(CLI::App& app, ListFilter& filter);

}  // namespace vfb::cli
