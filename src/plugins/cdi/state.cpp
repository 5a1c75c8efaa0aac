// SPDX-License-Identifier: GPL-2.0-or-later
#include "state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <sstream>

#include "proto/json.hpp"

namespace vfb::cdi {
namespace {

using proto::Json;

// As many bytes as a guest's name may have.
constexpr std::size_t kMostId = 256;

std::string text_of(const Json& object, const char* name) {
    const auto it = object.find(name);
    return it == object.end() || !it->is_string() ? "" : it->get<std::string>();
}

std::uint32_t number_of(const Json& object, const char* name) {
    const auto it = object.find(name);
    const bool good = it != object.end() && it->is_number_unsigned();
    return good && it->get<std::uint64_t>() <= INT32_MAX ? it->get<std::uint32_t>() : 0;
}

Json member(const Json& object, const char* name) {
    const auto it = object.find(name);
    return it == object.end() || !it->is_object() ? Json::object() : *it;
}

}  // namespace

Result<State> parse_state(std::string_view text) {
    const Json json = Json::parse(text, nullptr, false);
    if (!json.is_object())
        return fail(Code::invalid, "read the container's state", {},
                    "standard input is no JSON object",
                    "an OCI runtime starts this program as a hook: see vfbroker-cdi(8)");
    State state{.id = text_of(json, "id"),
                .pid = static_cast<pid_t>(number_of(json, "pid")),
                .bundle = text_of(json, "bundle")};
    if (state.id.empty() || state.id.size() > kMostId)
        return fail(Code::invalid, "read the container's state", {},
                    fmt::format("its id has {} bytes, not 1 to {}", state.id.size(), kMostId));
    return state;
}

Result<Bundle> parse_bundle(std::string_view config, const std::string& folder) {
    const Json json = Json::parse(config, nullptr, false);
    const std::string path = json.is_object() ? text_of(member(json, "root"), "path") : "";
    if (path.empty())
        return fail(Code::invalid, "read the container's configuration", folder,
                    folder + "/config.json names no root folder");
    const Json user = member(member(json, "process"), "user");
    Bundle bundle{.root = path.front() == '/' ? path : folder + "/" + path,
                  .uid = number_of(user, "uid"),
                  .gid = number_of(user, "gid")};
    const Json linux_part = member(json, "linux");
    const auto namespaces = linux_part.find("namespaces");
    bundle.user_namespace = namespaces != linux_part.end() && namespaces->is_array() &&
                            std::ranges::any_of(*namespaces, [](const Json& one) {
                                return one.is_object() && text_of(one, "type") == "user";
                            });
    return bundle;
}

Result<Bundle> read_bundle(const std::string& folder) {
    const std::string path = folder + "/config.json";
    std::ifstream file(path, std::ios::binary);
    if (!file)
        return fail(Code::not_found, "read the container's configuration", path,
                    "cannot open " + path);
    std::ostringstream text;
    text << file.rdbuf();
    return parse_bundle(text.str(), folder);
}

}  // namespace vfb::cdi
