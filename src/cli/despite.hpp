// SPDX-License-Identifier: GPL-2.0-or-later
//
// --despite FUNCTION=REASON,...: uses of the host that may be torn away, typed out one by one.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "proto/json.hpp"

namespace vfb::cli {

void add_despite_option(CLI::App& app, std::vector<std::string>& values);
// As io.vfbroker []Despite. Code::invalid says how it is written.
Result<proto::Json> despite_json(const std::vector<std::string>& values);
// The words between commas; Code::invalid when one is empty.
Result<proto::Json> reasons_json(const std::string& text);

}  // namespace vfb::cli
