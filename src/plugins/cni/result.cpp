// SPDX-License-Identifier: GPL-2.0-or-later
#include "result.hpp"

#include <fmt/format.h>
#include <linux/rtnetlink.h>

#include <array>

namespace vfb::cni {
namespace {

using proto::Json;

// Fields of a route that came with version 1.1.0.
constexpr std::array kNewOfRoutes{"priority", "table", "scope", "mtu", "advmss"};

std::string text_of(const Json& object, const char* name) {
    if (!object.is_object()) return {};
    const auto it = object.find(name);
    return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

std::optional<std::uint32_t> number_of(const Json& object, const char* name) {
    const auto it = object.find(name);
    if (it == object.end() || !it->is_number_integer()) return std::nullopt;
    const auto value = it->get<std::int64_t>();
    if (value <= 0 || value > UINT32_MAX) return std::nullopt;
    return static_cast<std::uint32_t>(value);
}

bool is_ipv6(const std::string& address) {
    return address.find(':') != std::string::npos;
}

const Json& list_of(const Json& object, const char* name) {
    static const Json kNone = Json::array();
    const auto it = object.find(name);
    return it != object.end() && it->is_array() ? *it : kNone;
}

std::unexpected<Failure> unusable(const char* what) {
    return std::unexpected(
        Failure(kUndecodable, fmt::format("cannot use the result of the IPAM plugin: {}", what),
                "which plugin does `ipam` of the network name?"));
}

std::string gateway_of(const Json& ips, bool ipv6) {
    for (const auto& ip : ips)
        if (is_ipv6(text_of(ip, "address")) == ipv6)
            if (auto gateway = text_of(ip, "gateway"); !gateway.empty()) return gateway;
    return {};
}

// The scope that a route names, if it names one.
Outcome<std::optional<std::uint8_t>> scope_of(const Json& route) {
    const auto it = route.find("scope");
    if (it == route.end() || it->is_null()) return std::nullopt;
    const auto number = it->is_number_integer() ? it->get<std::int64_t>() : -1;
    if (number < 0 || number > UINT8_MAX)
        return unusable("the scope of one of its `routes` is no number from 0 to 255");
    return static_cast<std::uint8_t>(number);
}

Outcome<nic::Route> read_route(const Json& entry, const Json& ips) {
    nic::Route route;
    route.destination = text_of(entry, "dst");
    route.gateway = text_of(entry, "gw");
    if (route.destination.empty()) return unusable("one of its `routes` has no dst");
    VFB_TRY(route.scope, scope_of(entry));
    // What is on the link, or the host itself, is behind no gateway: the kernel takes none.
    if (route.gateway.empty() && route.scope.value_or(RT_SCOPE_UNIVERSE) < RT_SCOPE_LINK)
        route.gateway = gateway_of(ips, is_ipv6(route.destination));
    route.priority = number_of(entry, "priority");
    route.table = number_of(entry, "table");
    route.mtu = number_of(entry, "mtu");
    route.advmss = number_of(entry, "advmss");
    return route;
}

}  // namespace

Outcome<Addressing> read_addressing(const Json& result) {
    if (!result.is_object()) return unusable("it is no JSON object");
    Addressing read;
    read.ips = list_of(result, "ips");
    read.routes = list_of(result, "routes");
    if (const auto dns = result.find("dns"); dns != result.end() && dns->is_object())
        read.dns = *dns;
    for (const auto& ip : read.ips) {
        auto address = text_of(ip, "address");
        if (address.empty()) return unusable("one of its `ips` has no address");
        read.addresses.push_back({.text = std::move(address)});
    }
    for (const auto& entry : read.routes) {
        VFB_TRY(auto route, read_route(entry, read.ips));
        read.paths.push_back(std::move(route));
    }
    return read;
}

Json make_result(const Config& config, const Attachment& attachment, const Addressing& addressing) {
    const auto& version = config.version;
    Json interface{
        {"name", attachment.ifname}, {"mac", attachment.link.mac}, {"sandbox", attachment.netns}};
    if (is_at_least(version, "1.1.0")) {
        interface["mtu"] = attachment.link.mtu;
        interface["pciID"] = attachment.address;
    }
    Json result{{"cniVersion", version}, {"interfaces", Json::array({std::move(interface)})}};
    result["ips"] = addressing.ips;
    for (auto& ip : result["ips"]) {
        ip["interface"] = 0;
        // Each IPAM plugin says it as its own version does.
        if (is_at_least(version, "1.0.0"))
            ip.erase("version");
        else
            ip["version"] = is_ipv6(text_of(ip, "address")) ? "6" : "4";
    }
    result["routes"] = addressing.routes;
    if (!is_at_least(version, "1.1.0"))
        for (auto& route : result["routes"])
            for (const char* const name : kNewOfRoutes) route.erase(name);
    const Json& dns = config.dns.is_null() ? addressing.dns : config.dns;
    result["dns"] = dns.is_null() ? Json::object() : dns;
    return result;
}

std::optional<std::string> previous_mac(const Json& previous, const std::string& ifname,
                                        const std::string& netns) {
    for (const auto& interface : list_of(previous, "interfaces"))
        if (text_of(interface, "name") == ifname && text_of(interface, "sandbox") == netns)
            return text_of(interface, "mac");
    return std::nullopt;
}

}  // namespace vfb::cni
