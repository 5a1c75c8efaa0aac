// SPDX-License-Identifier: GPL-2.0-or-later
//
// The options that `lease` and `run` share.
#pragma once

#include <CLI/CLI.hpp>

#include "client/lease.hpp"

namespace vfb::cli {

// Adds them to `app`; they fill `request`, which outlives the parsing. --function is refused beside
// --count, where there is one.
void add_lease_options(CLI::App& app, client::LeaseRequest& request);
// `POOL` or `POOL:COUNT`, into `request`, which has a count already if --count was given.
// Code::invalid: it is neither, or says how many twice.
Result<> read_pool(client::LeaseRequest& request, const std::string& text);
// --count.
void add_count_option(CLI::App& app, client::LeaseRequest& request);
// --memlock, of `run` and `attach`; `help` says what it is without the option.
void add_memory_lock_option(CLI::App& app, client::LeaseRequest& request, const char* help);
// --device-option.
void add_device_option(CLI::App& app, std::vector<std::string>& options);

}  // namespace vfb::cli
