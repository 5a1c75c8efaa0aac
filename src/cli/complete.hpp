// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a shell asks for while a command line is typed: `vfbroker __complete WORD...`.
#pragma once

#include <CLI/CLI.hpp>
#include <span>
#include <string>

#include "context.hpp"

namespace vfb::cli {

inline constexpr std::string_view kComplete = "__complete";

// Prints what the last of `words` (what stands behind the program's name) can become, one a line,
// with a tab and a description; `:file` when it is a file's name. Without a daemon, what needs one
// has no candidates. Never fails: a shell has nowhere to show an error.
int complete(const CLI::App& app, Context& context, std::span<char* const> words);

}  // namespace vfb::cli
