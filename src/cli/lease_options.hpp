// SPDX-License-Identifier: GPL-2.0-or-later
//
// The options that `lease` and `run` share.
#pragma once

#include <CLI/CLI.hpp>

#include "client/lease.hpp"

namespace vfb::cli {

// Adds them to `app`; they fill `request`, which outlives the parsing.
void add_lease_options(CLI::App& app, client::LeaseRequest& request);

}  // namespace vfb::cli
