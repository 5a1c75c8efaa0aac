// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a container runtime asks of a CNI plugin: its environment and the network configuration on
// its standard input (CNI specification 1.1.0, sections 2 and 4). Pure.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "client/lease.hpp"
#include "failure.hpp"

namespace vfb::cni {

// Of the specification, oldest first.
inline constexpr std::array<std::string_view, 5> kVersions{"0.3.0", "0.3.1", "0.4.0", "1.0.0",
                                                           "1.1.0"};
// Whether a result of that version has what came with `since`; both are of kVersions.
bool is_at_least(std::string_view version, std::string_view since);

enum class Command { add, del, check, gc, status, version };

// The CNI_* variables; empty where one is not set.
struct Environment {
    std::string command;
    std::string container;
    std::string netns;
    std::string ifname;
    std::string args;
    std::string path;
};
// Code 4 for a variable that the command needs and that is not there or malformed.
Outcome<Command> read_command(const Environment& environment);

struct Config {
    std::string text;  // as it came, for a delegated plugin
    std::string version = std::string(kVersions.front());
    std::string network;
    std::string ipam;  // name of the plugin; empty: none
    std::string socket;
    client::LeaseRequest request;
    std::optional<std::uint32_t> mtu;
    proto::Json dns;       // for the result; null without
    proto::Json previous;  // `prevResult`; null without
    // `cni.dev/valid-attachments`, as attachment_name(); nullopt without.
    std::optional<std::set<std::string>> valid;
};

// Whom a lease serves, by its guest's name: `cni/NETWORK/CONTAINER/IFNAME`. None of the three can
// hold a slash.
std::string attachment_name(const std::string& network, const std::string& container,
                            const std::string& ifname);

// The version that an answer to this has; the newest for what cannot be read.
std::string version_of(const std::string& text);

// What DEL and GC need, and nothing more: an attachment can be ended when its network's
// configuration has become wrong meanwhile.
Outcome<Config> read_config_to_end(const std::string& text);
// All of it. Code 2: a field that this plugin does not have, 6: no JSON, 7: a wrong value. `args`
// is CNI_ARGS, of which MAC counts.
Outcome<Config> read_config(const std::string& text, const std::string& args);

}  // namespace vfb::cni
