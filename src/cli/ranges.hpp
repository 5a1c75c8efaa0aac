// SPDX-License-Identifier: GPL-2.0-or-later
// What a number on the command line may be.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>

namespace vfb::cli {

// A whole number from `least` to `most`. CLI11 has one of its own, which says it differently in
// each of its versions.
CLI::Validator in_range(std::int64_t least, std::int64_t most);

}  // namespace vfb::cli
