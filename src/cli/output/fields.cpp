// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/fields.hpp"

#include <array>
#include <utility>

namespace vfb::cli {

using proto::Json;

const Json& member(const Json& object, const char* name) {
    static const Json nothing;
    if (!object.is_object()) return nothing;
    const auto found = object.find(name);
    return found == object.end() ? nothing : *found;
}

std::string text(const Json& object, const char* name) {
    const Json& value = member(object, name);
    return value.is_string() ? value.get<std::string>() : "";
}

std::string number(const Json& object, const char* name) {
    const Json& value = member(object, name);
    return value.is_number_integer() ? value.dump() : "";
}

std::string yes_no(const Json& object, const char* name) {
    const Json& value = member(object, name);
    if (!value.is_boolean()) return "";
    return value.get<bool>() ? "yes" : "no";
}

bool flag(const Json& object, const char* name) {
    return member(object, name) == true;
}

std::vector<Json> elements(const Json& object, const char* name) {
    const Json& value = member(object, name);
    if (!value.is_array()) return {};
    return {value.begin(), value.end()};
}

std::string joined(const Json& object, const char* name, const char* separator) {
    std::string all;
    for (const auto& element : elements(object, name)) {
        if (!element.is_string()) continue;
        if (!all.empty()) all += separator;
        all += element.get<std::string>();
    }
    return all;
}

std::string attributes(const Json& object) {
    constexpr std::array<std::pair<const char*, const char*>, 12> kNames{{
        {"mac", "mac"},
        {"vlan", "vlan"},
        {"qos", "qos"},
        {"vlanProtocol", "vlan-protocol"},
        {"spoofCheck", "spoof-check"},
        {"trust", "trust"},
        {"minTxRate", "min-tx-rate"},
        {"maxTxRate", "max-tx-rate"},
        {"linkState", "link-state"},
        {"rssQuery", "rss-query"},
        {"nodeGuid", "node-guid"},
        {"portGuid", "port-guid"},
    }};
    std::string all;
    for (const auto& [name, shown] : kNames) {
        const Json& value = member(object, name);
        std::string said;
        if (value.is_string()) said = value.get<std::string>();
        if (value.is_number_integer()) said = value.dump();
        if (value.is_boolean()) said = value.get<bool>() ? "on" : "off";
        if (said.empty()) continue;
        if (!all.empty()) all += ", ";
        all += std::string(shown) + " " + said;
    }
    return all;
}

}  // namespace vfb::cli
