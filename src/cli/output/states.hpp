// SPDX-License-Identifier: GPL-2.0-or-later
//
// The states that are printed, each in a sentence: `vfbroker help states`.
#pragma once

#include <span>
#include <string_view>

namespace vfb::cli {

struct State {
    std::string_view name;
    std::string_view text;
};

struct StateKind {
    std::string_view title;
    std::span<const State> states;
};

// Of functions (io.vfbroker FunctionState), in the order in which they come.
std::span<const State> function_states();
// Of physical functions (io.vfbroker PhysicalFunctionStatus).
std::span<const State> pf_states();
// What `explain` says (io.vfbroker Verdict).
std::span<const State> verdict_states();
// All of them.
std::span<const StateKind> state_kinds();

}  // namespace vfb::cli
