// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire.hpp"

#include <fmt/format.h>

#include <array>
#include <functional>

namespace vfb::daemon {
namespace {

std::unexpected<Error> bad_attribute(const std::string& name, const std::string& why) {
    return fail(Code::invalid, "set attribute " + name, name, why);
}

// A whole number within bounds: what the kernel's field can hold, before it decides more.
template <class T>
Result<> read_number(const Json& value, const std::string& name, std::uint64_t max,
                     std::optional<T>& out) {
    if (!value.is_number_integer() || value.get<std::int64_t>() < 0 ||
        value.get<std::uint64_t>() > max)
        return bad_attribute(
            name, fmt::format("{} is not a whole number from 0 to {}", value.dump(), max));
    out = value.get<T>();
    return {};
}

Result<> read_flag(const Json& value, const std::string& name, std::optional<bool>& out) {
    if (!value.is_boolean()) return bad_attribute(name, value.dump() + " is not true or false");
    out = value.get<bool>();
    return {};
}

template <class T, class Parse>
Result<> read_word(const Json& value, const std::string& name, const char* words, Parse parse,
                   std::optional<T>& out) {
    if (value.is_string()) out = parse(value.get<std::string>());
    if (!out) return bad_attribute(name, value.dump() + " is not one of " + words);
    return {};
}

Result<> read_mac(const Json& value, nic::VfAttributes& attributes) {
    if (!value.is_string()) return bad_attribute("mac", value.dump() + " is not text");
    VFB_TRY(attributes.mac, nic::MacAddress::parse(value.get<std::string>()));
    return {};
}

Result<> read_guid(const Json& value, const std::string& name, std::optional<nic::Guid>& out) {
    if (!value.is_string()) return bad_attribute(name, value.dump() + " is not text");
    VFB_TRY(const auto guid, nic::Guid::parse(value.get<std::string>()));
    if (guid.value == 0) return bad_attribute(name, "an all-zero GUID is none");
    out = guid;
    return {};
}

using Reader = std::function<Result<>(const Json&, nic::VfAttributes&)>;

const std::array<std::pair<std::string_view, Reader>, 12>& attribute_readers() {
    static const std::array<std::pair<std::string_view, Reader>, 12> readers{{
        {"mac", read_mac},
        {"vlan", [](const Json& v, auto& a) { return read_number(v, "vlan", 4094, a.vlan); }},
        {"qos", [](const Json& v, auto& a) { return read_number(v, "qos", 7, a.qos); }},
        {"vlanProtocol",
         [](const Json& v, auto& a) {
             return read_word(v, "vlanProtocol", "802.1Q, 802.1ad", nic::vlan_protocol_from_string,
                              a.vlan_protocol);
         }},
        {"spoofCheck",
         [](const Json& v, auto& a) { return read_flag(v, "spoofCheck", a.spoof_check); }},
        {"trust", [](const Json& v, auto& a) { return read_flag(v, "trust", a.trust); }},
        {"minTxRate",
         [](const Json& v, auto& a) {
             return read_number(v, "minTxRate", UINT32_MAX, a.min_tx_rate);
         }},
        {"maxTxRate",
         [](const Json& v, auto& a) {
             return read_number(v, "maxTxRate", UINT32_MAX, a.max_tx_rate);
         }},
        {"linkState",
         [](const Json& v, auto& a) {
             return read_word(v, "linkState", "auto, enable, disable", nic::link_state_from_string,
                              a.link_state);
         }},
        {"rssQuery", [](const Json& v, auto& a) { return read_flag(v, "rssQuery", a.rss_query); }},
        {"nodeGuid", [](const Json& v, auto& a) { return read_guid(v, "nodeGuid", a.node_guid); }},
        {"portGuid", [](const Json& v, auto& a) { return read_guid(v, "portGuid", a.port_guid); }},
    }};
    return readers;
}

template <class T>
void put(Json& json, const char* name, const std::optional<T>& value) {
    if (value) json[name] = *value;
}

template <class T>
void take(const Json& json, const char* name, std::optional<T>& out) {
    if (const auto it = json.find(name); it != json.end() && !it->is_null()) out = it->get<T>();
}

void put_address(Json& json, const char* name, const std::optional<pci::Address>& value) {
    if (value) json[name] = value->str();
}

Result<> take_address(const Json& json, const char* name, std::optional<pci::Address>& out) {
    if (const auto it = json.find(name); it != json.end()) {
        VFB_TRY(out, pci::Address::parse(it->get<std::string>()));
    }
    return {};
}

pci::Bar bar_from_json(const Json& json) {
    pci::Bar bar;
    bar.index = json.at("index").get<std::uint8_t>();
    bar.address = json.at("address").get<std::uint64_t>();
    bar.size = json.at("size").get<std::uint64_t>();
    bar.io = json.at("io").get<bool>();
    bar.prefetchable = json.at("prefetchable").get<bool>();
    bar.is_64bit = json.at("wide").get<bool>();
    return bar;
}

Json bars_to_json(const std::vector<pci::Bar>& bars) {
    Json list = Json::array();
    for (const auto& bar : bars) list.push_back(to_json(bar));
    return list;
}

std::vector<pci::Bar> bars_from_json(const Json& json) {
    std::vector<pci::Bar> bars;
    bars.reserve(json.size());
    for (const auto& bar : json) bars.push_back(bar_from_json(bar));
    return bars;
}

Result<pci::SrIov> sriov_from_json(const Json& json) {
    pci::SrIov s;
    s.total = json.at("total").get<std::uint16_t>();
    s.enabled = json.at("enabled").get<std::uint16_t>();
    take(json, "initial", s.initial);
    take(json, "offset", s.offset);
    take(json, "stride", s.stride);
    if (const auto it = json.find("vfDevice"); it != json.end())
        s.vf_device =
            static_cast<std::uint16_t>(parse_number("0x" + it->get<std::string>()).value_or(0));
    take(json, "ari", s.ari);
    s.vf_bars = bars_from_json(json.at("vfBars"));
    for (const auto& vf : json.at("vfs")) {
        VFB_TRY(const auto address, pci::Address::parse(vf.get<std::string>()));
        s.vfs.push_back(address);
    }
    return s;
}

}  // namespace

Json to_json(const PfSettings& settings) {
    Json json = Json::object();
    put(json, "mtu", settings.mtu);
    if (settings.eswitch_mode) json["eswitchMode"] = nic::to_string(*settings.eswitch_mode);
    return json;
}

PfSettings pf_settings_from_json(const Json& json) {
    PfSettings settings;
    take(json, "mtu", settings.mtu);
    if (const auto it = json.find("eswitchMode"); it != json.end())
        settings.eswitch_mode = nic::eswitch_mode_from_string(it->get<std::string>());
    return settings;
}

Json to_json(const nic::VfAttributes& a) {
    Json json = Json::object();
    if (a.mac) json["mac"] = a.mac->str();
    put(json, "vlan", a.vlan);
    put(json, "qos", a.qos);
    if (a.vlan_protocol) json["vlanProtocol"] = nic::to_string(*a.vlan_protocol);
    put(json, "spoofCheck", a.spoof_check);
    put(json, "trust", a.trust);
    put(json, "minTxRate", a.min_tx_rate);
    put(json, "maxTxRate", a.max_tx_rate);
    if (a.link_state) json["linkState"] = nic::to_string(*a.link_state);
    put(json, "rssQuery", a.rss_query);
    // None is all zeros.
    if (a.node_guid.value_or(nic::Guid{}).value != 0) json["nodeGuid"] = a.node_guid->str();
    if (a.port_guid.value_or(nic::Guid{}).value != 0) json["portGuid"] = a.port_guid->str();
    return json;
}

Result<nic::VfAttributes> attributes_from_json(const Json& json) {
    nic::VfAttributes attributes;
    if (json.is_null()) return attributes;
    if (!json.is_object())
        return fail(Code::invalid, "set attributes", "attributes", "they are not an object");
    for (const auto& [name, value] : json.items()) {
        if (value.is_null()) continue;
        const auto& readers = attribute_readers();
        const auto* const reader =
            std::ranges::find(readers, name, [](const auto& r) { return r.first; });
        if (reader == readers.end()) return bad_attribute(name, "there is no such attribute");
        VFB_CHECK(reader->second(value, attributes));
    }
    return attributes;
}

Result<nic::VfAttributes> asked_attributes_from_json(const Json& json) {
    VFB_TRY(const auto attributes, attributes_from_json(json));
    if (!attributes.mac) return attributes;
    if (attributes.mac->is_multicast())
        return bad_attribute(
            "mac", attributes.mac->str() + " is a multicast address, which no sender can have");
    if (attributes.mac->is_zero())
        return bad_attribute("mac", "an all-zero address makes drivers choose a random one");
    return attributes;
}

Json to_json(const pci::Bar& bar) {
    return {{"index", bar.index}, {"address", bar.address},           {"size", bar.size},
            {"io", bar.io},       {"prefetchable", bar.prefetchable}, {"wide", bar.is_64bit}};
}

Json to_json(const pci::Netdev& n) {
    return {{"name", n.name}, {"mac", n.mac}, {"permanentMac", n.permanent_mac}, {"up", n.up}};
}

Json to_json(const pci::SrIov& s) {
    Json json{{"total", s.total}, {"enabled", s.enabled}};
    put(json, "initial", s.initial);
    put(json, "offset", s.offset);
    put(json, "stride", s.stride);
    if (s.vf_device) json["vfDevice"] = fmt::format("{:04x}", *s.vf_device);
    put(json, "ari", s.ari);
    json["vfBars"] = bars_to_json(s.vf_bars);
    json["vfs"] = Json::array();
    for (const auto& vf : s.vfs) json["vfs"].push_back(vf.str());
    return json;
}

Json to_json(const pci::Function& f) {
    Json json{{"address", f.address.str()},
              {"vendor", f.vendor},
              {"device", f.device},
              {"subsystemVendor", f.subsystem_vendor},
              {"subsystemDevice", f.subsystem_device},
              {"class", f.class_code},
              {"revision", f.revision},
              {"headerType", f.header_type},
              {"multifunction", f.multifunction},
              {"vendorName", f.vendor_name.str()},
              {"deviceName", f.device_name.str()},
              {"className", f.class_name.str()},
              {"slot", f.slot.str()},
              {"resetMethod", f.reset_method.str()},
              {"bars", bars_to_json(f.bars)}};
    put(json, "driver", f.driver);
    put(json, "numaNode", f.numa_node);
    put(json, "group", f.group);
    put(json, "pcieType", f.pcie_type);
    put(json, "vfIndex", f.vf_index);
    put_address(json, "parent", f.parent);
    put_address(json, "physfn", f.physfn);
    json["netdevs"] = Json::array();
    for (const auto& n : f.netdevs) {
        json["netdevs"].push_back(to_json(n));
        json["netdevs"].back()["ifindex"] = n.ifindex;
    }
    if (f.sriov) json["sriov"] = to_json(*f.sriov);
    return json;
}

Result<pci::Function> function_from_json(const Json& json) {
    pci::Function f;
    VFB_TRY(f.address, pci::Address::parse(json.at("address").get<std::string>()));
    f.vendor = json.at("vendor").get<std::uint16_t>();
    f.device = json.at("device").get<std::uint16_t>();
    f.subsystem_vendor = json.at("subsystemVendor").get<std::uint16_t>();
    f.subsystem_device = json.at("subsystemDevice").get<std::uint16_t>();
    f.class_code = json.at("class").get<std::uint32_t>();
    f.revision = json.at("revision").get<std::uint8_t>();
    f.header_type = json.at("headerType").get<std::uint8_t>();
    f.multifunction = json.at("multifunction").get<bool>();
    f.vendor_name = json.at("vendorName").get<std::string>();
    f.device_name = json.at("deviceName").get<std::string>();
    f.class_name = json.at("className").get<std::string>();
    f.slot = json.at("slot").get<std::string>();
    f.reset_method = json.at("resetMethod").get<std::string>();
    f.bars = bars_from_json(json.at("bars"));
    take(json, "driver", f.driver);
    take(json, "numaNode", f.numa_node);
    take(json, "group", f.group);
    take(json, "pcieType", f.pcie_type);
    take(json, "vfIndex", f.vf_index);
    VFB_CHECK(take_address(json, "parent", f.parent));
    VFB_CHECK(take_address(json, "physfn", f.physfn));
    f.netdevs.reserve(json.at("netdevs").size());
    for (const auto& n : json.at("netdevs"))
        f.netdevs.push_back({.name = n.at("name").get<std::string>(),
                             .ifindex = n.at("ifindex").get<int>(),
                             .mac = n.at("mac").get<std::string>(),
                             .permanent_mac = n.at("permanentMac").get<std::string>(),
                             .up = n.at("up").get<bool>()});
    if (const auto it = json.find("sriov"); it != json.end()) {
        VFB_TRY(f.sriov, sriov_from_json(*it));
    }
    return f;
}

Json to_json(const pci::Binding& binding) {
    Json json{{"driverOverride", binding.driver_override}};
    put(json, "driver", binding.driver);
    return json;
}

pci::Binding binding_from_json(const Json& json) {
    pci::Binding binding;
    binding.driver_override = json.at("driverOverride").get<std::string>();
    take(json, "driver", binding.driver);
    return binding;
}

Json to_json(const vfio::Support& s) {
    return {{"iommufd", s.iommufd},
            {"group", s.group},
            {"iommufdReason", s.iommufd_reason},
            {"groupReason", s.group_reason}};
}

vfio::Support support_from_json(const Json& json) {
    vfio::Support support;
    support.iommufd = json.at("iommufd").get<bool>();
    support.group = json.at("group").get<bool>();
    support.iommufd_reason = json.at("iommufdReason").get<std::string>();
    support.group_reason = json.at("groupReason").get<std::string>();
    return support;
}

Json to_json(const broker::Despite& despite) {
    Json list = Json::array();
    for (const auto& [function, reasons] : despite)
        list.push_back({{"function", function.str()}, {"reasons", reasons}});
    return list;
}

Result<broker::Despite> despite_from_json(const Json& json) {
    broker::Despite despite;
    if (json.is_null()) return despite;
    const auto malformed = [] {
        return fail(Code::invalid, "read what is done despite its use", "despite",
                    "each is a function and the reasons that are set aside for it");
    };
    if (!json.is_array()) return malformed();
    for (const auto& entry : json) {
        if (!entry.is_object() || !entry.value("function", Json()).is_string() ||
            !entry.value("reasons", Json()).is_array())
            return malformed();
        VFB_TRY(const auto address, pci::Address::parse(entry["function"].get<std::string>()));
        for (const auto& reason : entry["reasons"]) {
            if (!reason.is_string()) return malformed();
            despite[address].insert(reason.get<std::string>());
        }
    }
    return despite;
}

Result<broker::FileTexts> file_texts_from_json(const Json& json) {
    broker::FileTexts texts;
    if (json.is_null()) return texts;
    const auto malformed = [] {
        return fail(Code::invalid, "read the files of the configuration", "instead",
                    "each has a path, and a text if it is to be there");
    };
    if (!json.is_array()) return malformed();
    for (const auto& entry : json) {
        if (!entry.is_object() || !entry.value("path", Json()).is_string()) return malformed();
        const Json text = entry.value("text", Json());
        const bool known = entry.size() == (entry.contains("text") ? 2 : 1);
        if (!known || !(text.is_string() || text.is_null())) return malformed();
        texts[entry["path"].get<std::string>()] =
            text.is_null() ? std::nullopt : std::optional(text.get<std::string>());
    }
    return texts;
}

Json to_json(const broker::PfLimits& limits) {
    Json json{{"hasNetdev", limits.has_netdev}, {"lacking", limits.lacking}};
    put(json, "vfs", limits.vfs);
    put(json, "leastMtu", limits.least_mtu);
    put(json, "mostMtu", limits.most_mtu);
    put(json, "drivers", limits.drivers);
    return json;
}

broker::PfLimits pf_limits_from_json(const Json& json) {
    broker::PfLimits limits;
    take(json, "vfs", limits.vfs);
    limits.has_netdev = json.at("hasNetdev").get<bool>();
    limits.lacking = json.at("lacking").get<std::vector<std::string>>();
    take(json, "leastMtu", limits.least_mtu);
    take(json, "mostMtu", limits.most_mtu);
    take(json, "drivers", limits.drivers);
    return limits;
}

Json to_json(const broker::Survey& survey) {
    Json json{{"limits", to_json(survey.limits)},
              {"vfs", Json::array()},
              {"drivers", Json::array()},
              {"attributes", Json::array()},
              {"inUse", Json::array()}};
    for (const auto& vf : survey.vfs) json["vfs"].push_back(vf.str());
    put(json, "up", survey.up);
    put(json, "mtu", survey.mtu);
    if (survey.eswitch_mode) json["eswitchMode"] = nic::to_string(*survey.eswitch_mode);
    for (const auto& driver : survey.drivers)
        json["drivers"].push_back(driver ? Json(*driver) : Json());
    for (const auto& attributes : survey.attributes)
        json["attributes"].push_back(to_json(attributes));
    for (const auto& [function, uses] : survey.in_use)
        for (const auto& use : uses)
            json["inUse"].push_back(
                {{"function", function.str()}, {"kind", use.kind}, {"text", use.text}});
    return json;
}

Result<broker::Survey> survey_from_json(const Json& json) {
    broker::Survey survey;
    survey.limits = pf_limits_from_json(json.at("limits"));
    take(json, "up", survey.up);
    take(json, "mtu", survey.mtu);
    if (const auto mode = json.find("eswitchMode"); mode != json.end())
        survey.eswitch_mode = nic::eswitch_mode_from_string(mode->get<std::string>());
    for (const auto& vf : json.at("vfs")) {
        VFB_TRY(const auto address, pci::Address::parse(vf.get<std::string>()));
        survey.vfs.push_back(address);
    }
    for (const auto& driver : json.at("drivers"))
        survey.drivers.push_back(driver.is_null() ? std::nullopt
                                                  : std::optional(driver.get<std::string>()));
    for (const auto& entry : json.at("attributes")) {
        VFB_TRY(auto attributes, attributes_from_json(entry));
        survey.attributes.push_back(attributes);
    }
    for (const auto& entry : json.at("inUse")) {
        VFB_TRY(const auto address, pci::Address::parse(entry.at("function").get<std::string>()));
        survey.in_use[address].push_back({.kind = entry.at("kind").get<std::string>(),
                                          .text = entry.at("text").get<std::string>()});
    }
    return survey;
}

Json to_json(const broker::ScrubRequest& r) {
    Json json{{"pf", r.pf.str()},
              {"vf", r.vf.str()},
              {"index", r.index},
              {"driver", r.driver},
              {"attributes", to_json(r.attributes)},
              {"resetRequired", r.reset_required},
              {"despite", r.despite},
              {"reclaim", r.reclaim}};
    if (r.backend) json["backend"] = vfio::to_string(*r.backend);
    put(json, "msixVectors", r.msix_vectors);
    return json;
}

Result<broker::ScrubRequest> scrub_request_from_json(const Json& json) {
    broker::ScrubRequest r;
    VFB_TRY(r.pf, pci::Address::parse(json.at("pf").get<std::string>()));
    VFB_TRY(r.vf, pci::Address::parse(json.at("vf").get<std::string>()));
    r.index = json.at("index").get<unsigned>();
    r.driver = json.at("driver").get<std::string>();
    VFB_TRY(r.attributes, attributes_from_json(json.at("attributes")));
    r.reset_required = json.at("resetRequired").get<bool>();
    r.despite = json.at("despite").get<std::set<std::string>>();
    r.reclaim = json.at("reclaim").get<bool>();
    if (const auto it = json.find("backend"); it != json.end())
        r.backend = vfio::backend_from_string(it->get<std::string>());
    take(json, "msixVectors", r.msix_vectors);
    return r;
}

}  // namespace vfb::daemon
