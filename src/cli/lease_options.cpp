// SPDX-License-Identifier: GPL-2.0-or-later
#include "lease_options.hpp"

#include <charconv>

#include "ranges.hpp"

namespace vfb::cli {
namespace {

using Text = std::optional<std::string>;
using Number = std::optional<std::int64_t>;

CLI::Option* add_text(CLI::App& app, const char* name, Text& value, const char* help,
                      const char* type) {
    return app
        .add_option_function<std::string>(
            name, [&value](const std::string& given) { value = given; }, help)
        ->type_name(type);
}

CLI::Option* add_number(CLI::App& app, const char* name, Number& value, const char* help,
                        const char* type, std::int64_t most) {
    return app
        .add_option_function<std::int64_t>(
            name, [&value](const std::int64_t& given) { value = given; }, help)
        ->type_name(type)
        ->check(in_range(0, most));
}

void add_switch(CLI::App& app, const char* name, std::optional<bool>& value, const char* help) {
    app.add_option_function<std::string>(
           name, [&value](const std::string& given) { value = given == "on"; }, help)
        ->type_name("on|off")
        ->check(CLI::IsMember({"on", "off"}).description(""));
}

}  // namespace

Result<> read_pool(client::LeaseRequest& request, const std::string& text) {
    const auto colon = text.rfind(':');
    request.pool = text.substr(0, colon);
    if (colon == std::string::npos) return {};
    std::uint16_t count = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, count);
    if (error != std::errc() || stop != end || count == 0 || colon == 0)
        return fail(Code::invalid, "lease " + text, text, "it is not POOL or POOL:COUNT");
    if (request.count)
        return fail(Code::invalid, "lease " + text, text, "it is said twice how many",
                    "either POOL:COUNT or --count");
    if (!request.functions.empty())
        return fail(Code::invalid, "lease " + request.functions.front(), request.functions.front(),
                    "--function counts by itself", "leave out :COUNT");
    request.count = count;
    return {};
}

void add_count_option(CLI::App& app, client::LeaseRequest& request) {
    app.add_option_function<std::int64_t>(
           "--count", [&request](const std::int64_t& count) { request.count = count; },
           "How many functions, as POOL:N (default 1)")
        ->type_name("N")
        ->check(in_range(1, UINT16_MAX));
}

// Powers of 1024, as QEMU's -m has them.
void add_memory_lock_option(CLI::App& app, client::LeaseRequest& request, const char* help) {
    app.add_option_function<std::int64_t>(
           "--memlock", [&request](const std::int64_t& bytes) { request.memory_lock = bytes; },
           help)
        ->type_name("SIZE")
        ->transform(CLI::AsSizeValue(false).description(""))
        ->check(in_range(1, INT64_MAX));
}

void add_device_option(CLI::App& app, std::vector<std::string>& options) {
    app.add_option("--device-option", options, "An option more for each device; repeatable")
        ->type_name("KEY=VALUE")
        ->expected(1)
        ->take_all();
}

void add_lease_options(CLI::App& app, client::LeaseRequest& request) {
    constexpr std::int64_t kMostMbits = INT32_MAX;
    constexpr std::int64_t kMostSeconds = 86400;
    auto& attributes = request.attributes;
    auto* function =
        app.add_option("--function", request.functions, "This function, and not any; repeatable")
            ->type_name("ADDRESS")
            ->expected(1)
            ->take_all();
    if (auto* count = app.get_option_no_throw("--count")) function->excludes(count);
    add_text(app, "--guest", request.guest, "Name of what the lease serves", "NAME");
    add_text(app, "--mac", attributes.mac, "MAC address", "MAC");
    add_number(app, "--vlan", attributes.vlan, "VLAN, 0 for none", "ID", 4094);
    add_number(app, "--qos", attributes.qos, "VLAN priority", "0-7", 7);
    add_text(app, "--vlan-protocol", attributes.vlan_protocol, "VLAN protocol", "PROTOCOL")
        ->check(CLI::IsMember({"802.1Q", "802.1ad"}).description(""))
        ->type_name("802.1Q|802.1ad");
    add_switch(app, "--spoof-check", attributes.spoof_check, "Drop frames with another MAC");
    add_switch(app, "--trust", attributes.trust, "Allow promiscuous mode and MAC changes");
    add_number(app, "--min-tx-rate", attributes.min_tx_rate, "Least transmit rate", "MBIT",
               kMostMbits);
    add_number(app, "--max-tx-rate", attributes.max_tx_rate, "Most transmit rate, 0 for no bound",
               "MBIT", kMostMbits);
    add_text(app, "--link-state", attributes.link_state, "Link state", "STATE")
        ->check(CLI::IsMember({"auto", "enable", "disable"}).description(""))
        ->type_name("auto|enable|disable");
    add_switch(app, "--rss-query", attributes.rss_query, "Allow to ask for the RSS key and table");
    add_text(app, "--node-guid", attributes.node_guid, "InfiniBand GUID of the node", "GUID");
    add_text(app, "--port-guid", attributes.port_guid, "InfiniBand GUID of the port", "GUID");
    add_text(app, "--backend", request.backend, "How VFIO is reached", "BACKEND")
        ->check(CLI::IsMember({"iommufd", "group"}).description(""))
        ->type_name("iommufd|group");
    add_number(app, "--wait", request.wait_seconds, "Wait for free functions", "SECS",
               kMostSeconds);
}

}  // namespace vfb::cli
