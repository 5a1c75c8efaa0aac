// SPDX-License-Identifier: GPL-2.0-or-later
//
// JSON as --json prints it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "proto/json.hpp"

namespace vfb::cli {

// JSON text set out in lines, two spaces a level, with a newline at the end. Values stay as they
// are in `text`, which is well-formed JSON.
std::string indent(std::string_view text);
// The same of a value.
std::string json_text(const proto::Json& value);
// {"error": …} for --json: code, errno, operation, subject, message, hint.
std::string error_json(const Error& error);

}  // namespace vfb::cli
