// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

namespace vfb::cni {
namespace {

using proto::Json;

// The wire takes names of guests up to this length.
constexpr std::size_t kMaxGuestName = 256;
constexpr std::int64_t kWaitSeconds = 5;

constexpr std::array<std::pair<std::string_view, Command>, 6> kCommands{{
    {"ADD", Command::add},
    {"DEL", Command::del},
    {"CHECK", Command::check},
    {"GC", Command::gc},
    {"STATUS", Command::status},
    {"VERSION", Command::version},
}};

// Of the specification and its conventions, and ours. Those with a slash are others' conventions.
constexpr std::array kFields{
    "args",        "capabilities",  "cniVersion", "cniVersions", "disableCheck", "disableGC",
    "dns",         "ipMasq",        "ipam",       "link_state",  "mac",          "max_tx_rate",
    "min_tx_rate", "mtu",           "name",       "pool",        "prevResult",   "qos",
    "rss_query",   "runtimeConfig", "socket",     "spoof_check", "trust",        "type",
    "vlan",        "vlan_protocol", "wait",
};

// A container's name, or a network's.
bool is_identifier(const std::string& text) {
    const auto plain = [](unsigned char c) { return std::isalnum(c) != 0 && c < 0x80; };
    return !text.empty() && plain(static_cast<unsigned char>(text.front())) &&
           std::ranges::all_of(
               text, [&](unsigned char c) { return plain(c) || c == '_' || c == '.' || c == '-'; });
}

bool is_interface_name(const std::string& text) {
    return !text.empty() && text.size() < 16 && text != "." && text != ".." &&
           std::ranges::none_of(
               text, [](unsigned char c) { return c == '/' || c == ':' || std::isspace(c) != 0; });
}

std::unexpected<Failure> bad_variable(std::string_view name, std::string_view why) {
    return std::unexpected(Failure(kInvalidEnvironment,
                                   fmt::format("cannot use the variable {}: {}", name, why),
                                   "the container runtime sets it: see its log"));
}

std::unexpected<Failure> bad_field(std::string_view name, std::string_view why) {
    return std::unexpected(Failure(kInvalidConfig,
                                   fmt::format("cannot use `{}` of the network: {}", name, why),
                                   std::string(kCorrectConfig)));
}

// One object's fields, of which the first that is wrong is remembered.
class Fields {
public:
    explicit Fields(const Json& object) : object_(object) {}

    [[nodiscard]] const Json* find(const char* name) const {
        const auto it = object_.find(name);
        return it == object_.end() || it->is_null() ? nullptr : &*it;
    }
    template <class Target>
    void text(const char* name, Target& target) {
        const Json* const value = find(name);
        if (value == nullptr) return;
        if (value->is_string())
            target = value->get<std::string>();
        else
            refuse(name, "it is no text");
    }
    void flag(const char* name, std::optional<bool>& target) {
        const Json* const value = find(name);
        if (value == nullptr) return;
        if (value->is_boolean())
            target = value->get<bool>();
        else
            refuse(name, "it is neither true nor false");
    }
    template <class Number>
    void number(const char* name, std::optional<Number>& target) {
        const Json* const value = find(name);
        if (value == nullptr) return;
        const bool fits = value->is_number_integer() && value->get<std::int64_t>() >= 0 &&
                          value->get<std::int64_t>() <= UINT32_MAX;
        if (fits)
            target = static_cast<Number>(value->get<std::int64_t>());
        else
            refuse(name, "it is no whole number from 0 to 4294967295");
    }
    void refuse(const char* name, const char* why) {
        if (!fault_) fault_ = bad_field(name, why).error();
    }
    [[nodiscard]] const std::optional<Failure>& fault() const { return fault_; }

private:
    const Json& object_;
    std::optional<Failure> fault_;
};

// `MAC` of CNI_ARGS, `A=B;C=D`.
std::optional<std::string> mac_of(std::string_view args) {
    constexpr std::string_view kMac = "MAC=";
    while (!args.empty()) {
        const auto end = args.find(';');
        const auto pair = args.substr(0, end);
        if (pair.starts_with(kMac)) return std::string(pair.substr(kMac.size()));
        args = end == std::string_view::npos ? std::string_view() : args.substr(end + 1);
    }
    return std::nullopt;
}

Outcome<Json> parse(const std::string& text) {
    Json json = Json::parse(text, nullptr, false);
    if (json.is_object()) return json;
    return std::unexpected(
        Failure(kUndecodable, "cannot read the network's configuration: it is no JSON object",
                "the container runtime passes it on standard input: see its log"));
}

Outcome<> read_version(const Json& json, Config& config) {
    const auto it = json.find("cniVersion");
    if (it == json.end() || !it->is_string())
        return bad_field("cniVersion", "it is missing, or no text");
    config.version = it->get<std::string>();
    if (std::ranges::find(kVersions, config.version) != kVersions.end()) return {};
    return std::unexpected(Failure(
        kIncompatibleVersion, fmt::format("cannot speak version {:?} of CNI", config.version),
        fmt::format("set cniVersion of the network to one of {}", fmt::join(kVersions, ", "))));
}

Outcome<> read_valid(const Json& json, Config& config) {
    const auto it = json.find("cni.dev/valid-attachments");
    if (it == json.end()) return {};
    constexpr const char* kName = "cni.dev/valid-attachments";
    // libcni writes a list that nothing was put into as null.
    if (!it->is_array() && !it->is_null()) return bad_field(kName, "it is no list");
    config.valid.emplace();
    for (const auto& entry : *it) {
        if (!entry.is_object() || !entry.contains("containerID") ||
            !entry["containerID"].is_string() || !entry.contains("ifname") ||
            !entry["ifname"].is_string())
            return bad_field(kName, "an entry has no containerID or no ifname");
        config.valid->insert(attachment_name(config.network,
                                             entry["containerID"].get<std::string>(),
                                             entry["ifname"].get<std::string>()));
    }
    return {};
}

Outcome<Config> read_common(const std::string& text, const Json& json) {
    Config config;
    config.text = text;
    VFB_CHECK(read_version(json, config));
    Fields fields(json);
    fields.text("name", config.network);
    fields.text("socket", config.socket);
    if (const Json* const ipam = fields.find("ipam"); ipam != nullptr && !ipam->empty()) {
        if (!ipam->is_object()) return bad_field("ipam", "it is no object");
        Fields inner(*ipam);
        inner.text("type", config.ipam);
        if (config.ipam.empty() || config.ipam.find('/') != std::string::npos)
            return bad_field("ipam", "its `type` is no name of a plugin");
    }
    if (const Json* const previous = fields.find("prevResult")) config.previous = *previous;
    if (fields.fault()) return std::unexpected(*fields.fault());
    if (!is_identifier(config.network))
        return bad_field("name", "it is missing, or has other characters than a-z A-Z 0-9 _ . -");
    VFB_CHECK(read_valid(json, config));
    return config;
}

void read_attributes(Fields& fields, client::Attributes& attributes) {
    fields.text("mac", attributes.mac);
    fields.number("vlan", attributes.vlan);
    fields.number("qos", attributes.qos);
    fields.text("vlan_protocol", attributes.vlan_protocol);
    fields.flag("spoof_check", attributes.spoof_check);
    fields.flag("trust", attributes.trust);
    fields.number("min_tx_rate", attributes.min_tx_rate);
    fields.number("max_tx_rate", attributes.max_tx_rate);
    fields.text("link_state", attributes.link_state);
    fields.flag("rss_query", attributes.rss_query);
}

// A runtime that cannot read it in the result would fail the whole attachment.
Outcome<> read_dns(const Json& dns, Config& config) {
    if (!dns.is_object()) return bad_field("dns", "it is no object");
    std::optional<std::string> domain;
    Fields fields(dns);
    fields.text("domain", domain);
    if (fields.fault()) return bad_field("dns", "its `domain` is no text");
    for (const char* const name : {"nameservers", "search", "options"}) {
        const Json* const list = fields.find(name);
        if (list == nullptr) continue;
        if (!list->is_array() || !std::ranges::all_of(*list, &Json::is_string))
            return bad_field("dns", fmt::format("its `{}` is no list of texts", name));
    }
    if (!dns.empty()) config.dns = dns;
    return {};
}

Outcome<> refuse_masquerading(Fields& fields) {
    std::optional<bool> wanted;
    fields.flag("ipMasq", wanted);
    if (!wanted.value_or(false)) return {};
    return std::unexpected(Failure(
        kUnsupportedField,
        "cannot use `ipMasq` of the network: what a VF sends does not pass through the "
        "host, which could translate its addresses",
        "leave it out, and have the network's gateway translate them where that is needed"));
}

Outcome<> refuse_unknown(const Json& json) {
    for (const auto& [name, value] : json.items())
        if (name.find('/') == std::string::npos &&
            std::ranges::find(kFields, name) == kFields.end())
            return std::unexpected(Failure(
                kUnsupportedField,
                fmt::format("cannot use `{}` of the network: this plugin has no such field", name),
                "vfbroker-cni(8) lists its fields"));
    return {};
}

}  // namespace

bool is_at_least(std::string_view version, std::string_view since) {
    return std::ranges::find(kVersions, version) >= std::ranges::find(kVersions, since);
}

std::string attachment_name(const std::string& network, const std::string& container,
                            const std::string& ifname) {
    return fmt::format("cni/{}/{}/{}", network, container, ifname);
}

Outcome<Command> read_command(const Environment& environment) {
    const auto* const command = std::ranges::find(kCommands, environment.command,
                                                  [](const auto& row) { return row.first; });
    if (command == kCommands.end())
        return bad_variable("CNI_COMMAND", "it is none of ADD, DEL, CHECK, GC, STATUS, VERSION");
    const auto which = command->second;
    const bool attachment =
        which == Command::add || which == Command::del || which == Command::check;
    if (!attachment) return which;
    if (!is_identifier(environment.container))
        return bad_variable("CNI_CONTAINERID", "it is missing or malformed");
    if (!is_interface_name(environment.ifname))
        return bad_variable("CNI_IFNAME", "it is missing, or no name of an interface");
    if (which != Command::del && environment.netns.empty())
        return bad_variable("CNI_NETNS", "it is missing");
    return which;
}

std::string version_of(const std::string& text) {
    const Json json = Json::parse(text, nullptr, false);
    const auto it = json.is_object() ? json.find("cniVersion") : json.end();
    if (json.is_object() && it != json.end() && it->is_string() &&
        std::ranges::find(kVersions, it->get<std::string>()) != kVersions.end())
        return it->get<std::string>();
    return std::string(kVersions.back());
}

Outcome<Config> read_config_to_end(const std::string& text) {
    VFB_TRY(const Json json, parse(text));
    return read_common(text, json);
}

Outcome<Config> read_config(const std::string& text, const std::string& args) {
    VFB_TRY(const Json json, parse(text));
    VFB_TRY(auto config, read_common(text, json));
    VFB_CHECK(refuse_unknown(json));
    Fields fields(json);
    auto& request = config.request;
    fields.text("pool", request.pool);
    read_attributes(fields, request.attributes);
    fields.number("mtu", config.mtu);
    fields.number("wait", request.wait_seconds);
    if (!request.wait_seconds) request.wait_seconds = kWaitSeconds;
    VFB_CHECK(refuse_masquerading(fields));
    if (const Json* const dns = fields.find("dns")) VFB_CHECK(read_dns(*dns, config));
    // The nearer to this one container, the more it counts.
    if (const auto mac = mac_of(args)) request.attributes.mac = mac;
    if (const Json* const runtime = fields.find("runtimeConfig")) {
        if (!runtime->is_object()) return bad_field("runtimeConfig", "it is no object");
        Fields inner(*runtime);
        inner.text("mac", request.attributes.mac);
        if (inner.fault()) return std::unexpected(*inner.fault());
    }
    if (fields.fault()) return std::unexpected(*fields.fault());
    if (request.pool.empty()) return bad_field("pool", "it is missing: which VFs are meant?");
    if (attachment_name(config.network, std::string(64, 'c'), std::string(15, 'i')).size() >
        kMaxGuestName)
        return bad_field("name", "it is too long");
    return config;
}

}  // namespace vfb::cni
