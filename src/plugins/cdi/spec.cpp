// SPDX-License-Identifier: GPL-2.0-or-later
#include "spec.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "proto/json.hpp"

namespace vfb::cdi {
namespace {

using proto::Json;

constexpr std::string_view kPrefix = "vfbroker-";
constexpr std::string_view kSuffix = ".json";
// The first whose devices may have names that begin with a digit.
constexpr const char* kVersion = "0.5.0";

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// A colon has a meaning of its own in some tools that pass such names on.
std::string device_name(std::string address) {
    const auto is_separator = [](char c) { return c == ':' || c == '.'; };
    std::ranges::replace_if(address, is_separator, '-');
    return address;
}

Json hook(const char* name, const std::string& program, const std::vector<std::string>& options) {
    Json arguments = Json::array();
    arguments.push_back(program);
    for (const auto& option : options) arguments.push_back(option);
    return {{"hookName", name}, {"path", program}, {"args", std::move(arguments)}};
}

Json hooks(const Pool& pool, const std::string& program, const Device* device) {
    std::vector<std::string> lease{"lease", "--pool", pool.name, "--backend", pool.backend};
    if (device != nullptr) {
        lease.insert(lease.end(), {"--function", device->address});
        // What the container gets by this very specification.
        for (const auto& node : device->nodes) lease.insert(lease.end(), {"--node", node});
    }
    Json list = Json::array();
    list.push_back(hook("createRuntime", program, lease));
    list.push_back(hook("poststop", program, {"release"}));
    return list;
}

Json device_json(const Pool& pool, const std::string& program, const Device& device) {
    Json edits = Json::object();
    for (const auto& node : device.nodes)
        edits["deviceNodes"].push_back({{"path", node}, {"permissions", "rw"}});
    edits["hooks"] = hooks(pool, program, &device);
    return {{"name", device_name(device.address)}, {"containerEdits", std::move(edits)}};
}

}  // namespace

Result<> check_name(const std::string& pool) {
    const auto inside = [](char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '-'; };
    const bool good = !pool.empty() && is_letter(pool.front()) &&
                      (is_letter(pool.back()) || is_digit(pool.back())) &&
                      std::ranges::all_of(pool, inside);
    if (good) return {};
    return fail(Code::unsupported, fmt::format("offer pool {} to containers", pool), pool,
                "the name of a CDI class begins with a letter and ends with a letter or digit",
                "give the pool another name: see vfbroker-cdi(8)");
}

std::string file_name(const std::string& pool) {
    return fmt::format("{}{}{}", kPrefix, pool, kSuffix);
}

bool is_file_name(std::string_view name) {
    return name.size() > kPrefix.size() + kSuffix.size() && name.starts_with(kPrefix) &&
           name.ends_with(kSuffix);
}

std::string make_spec(const Pool& pool, const std::string& program) {
    Json devices = Json::array();
    for (const Device& device : pool.devices) devices.push_back(device_json(pool, program, device));
    devices.push_back(
        {{"name", "any"}, {"containerEdits", {{"hooks", hooks(pool, program, nullptr)}}}});
    const Json spec{{"cdiVersion", kVersion},
                    {"kind", "vfbroker.io/" + pool.name},
                    {"devices", std::move(devices)}};
    return spec.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace vfb::cdi
