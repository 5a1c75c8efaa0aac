// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/ssh_session.hpp"

#include <string_view>

namespace vfb {
namespace {

constexpr int kMostParents = 64;  // a chain that a process builds on purpose has an end

// SSH_CONNECTION=CLIENT PORT SERVER PORT
std::optional<std::string> client_in(std::string_view environment) {
    constexpr std::string_view kName = "SSH_CONNECTION=";
    while (!environment.empty()) {
        const auto end = environment.find('\0');
        std::string_view variable = environment.substr(0, end);
        environment = end == std::string_view::npos ? "" : environment.substr(end + 1);
        if (!variable.starts_with(kName)) continue;
        variable.remove_prefix(kName.size());
        return std::string(variable.substr(0, variable.find(' ')));
    }
    return std::nullopt;
}

std::optional<pid_t> parent_of(const Dir& proc, pid_t pid) {
    const auto text = proc.read(std::to_string(pid) + "/stat");
    if (!text) return std::nullopt;
    // The name, in parentheses, may hold anything; behind it come the state and the parent.
    const auto close = text->rfind(')');
    if (close == std::string::npos || close + 4 >= text->size()) return std::nullopt;
    const std::string_view rest = std::string_view(*text).substr(close + 4);
    const auto parent = parse_number(rest.substr(0, rest.find(' ')));
    if (!parent || *parent <= 1) return std::nullopt;
    return static_cast<pid_t>(*parent);
}

}  // namespace

std::optional<std::string> ssh_client_of(const Dir& proc, pid_t pid) {
    std::optional<pid_t> at = pid;
    for (int i = 0; at && i < kMostParents; ++i) {
        const auto environment = proc.read(std::to_string(*at) + "/environ");
        if (environment)
            if (auto client = client_in(*environment)) return client;
        at = parent_of(proc, *at);
    }
    return std::nullopt;
}

}  // namespace vfb
