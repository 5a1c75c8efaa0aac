// SPDX-License-Identifier: GPL-2.0-or-later
//
// Where the caller of a container runtime looks for why a container was not created.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/sys_root.hpp"

namespace vfb::cdi {

// runc passes on what a hook says on standard error. crun says that the hook failed, and no more:
// with such a parent the text goes where crun's own messages go, to its standard error and to its
// log, of which podman shows the one or the other.
void tell_runtime(const SysRoot& root, pid_t runtime, const std::string& text);

// The file that crun's command line (proc(5), arguments ended by NULs) names for its log, if that
// is one of JSON.
std::optional<std::string> json_log_of(std::string_view command_line);

}  // namespace vfb::cdi
