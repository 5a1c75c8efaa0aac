// SPDX-License-Identifier: GPL-2.0-or-later
//
// What an OCI runtime tells a hook on standard input (OCI runtime specification, "State"), and what
// the container's config.json says.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace vfb::cdi {

struct State {
    std::string id;      // of the container
    pid_t pid = 0;       // of its first process; 0 when there is none
    std::string bundle;  // folder of config.json
};

Result<State> parse_state(std::string_view text);

struct Bundle {
    std::string root;  // the container's root folder, in its mount namespace
    uid_t uid = 0;     // of the container's process
    gid_t gid = 0;
    bool user_namespace = false;
};

Result<Bundle> parse_bundle(std::string_view config, const std::string& folder);
Result<Bundle> read_bundle(const std::string& folder);

}  // namespace vfb::cdi
