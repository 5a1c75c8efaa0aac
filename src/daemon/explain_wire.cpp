// SPDX-License-Identifier: GPL-2.0-or-later
#include "explain_wire.hpp"

#include "wire.hpp"

namespace vfb::daemon {
namespace {

Json uses_json(const std::vector<Use>& uses) {
    Json list = Json::array();
    for (const auto& use : uses) list.push_back({{"kind", use.kind}, {"text", use.text}});
    return list;
}

Json member_json(const doctor::GroupMember& member) {
    Json json{{"address", member.address.str()}, {"name", member.name}, {"bridge", member.bridge}};
    if (member.driver) json["driver"] = *member.driver;
    json["uses"] = uses_json(member.uses);
    return json;
}

Json bridge_json(const iommu::BridgeOnPath& bridge) {
    Json json{{"address", bridge.address.str()}, {"name", bridge.name}, {"kind", bridge.kind}};
    if (bridge.group) json["group"] = *bridge.group;
    if (bridge.capability) json["acs"] = *bridge.capability;
    const auto control = [&](std::size_t i) { return iommu::to_string(bridge.controls[i]); };
    json["controls"] = {
        {"sv", control(0)}, {"rr", control(1)}, {"cr", control(2)}, {"uf", control(3)}};
    if (bridge.capability) json["isolates"] = !bridge.gap || bridge.quirk;
    if (bridge.quirk)
        json["reason"] = "its registers do not say so, but the kernel knows that it isolates";
    else if (bridge.gap)
        json["reason"] = iommu::describe(*bridge.gap);
    return json;
}

Json isolation_of(const doctor::Explanation& e) {
    Json json{{"viable", e.verdict.viable}};
    // What could not be read is not known, and no reason to say no.
    if (const auto unread = e.unread.find("iommu-group"); unread != e.unread.end()) {
        json["viable"] = nullptr;
        json["reason"] = unread->second.message();
        json["hint"] = unread->second.hint;
    }
    if (e.verdict.group) json["group"] = *e.verdict.group;
    json["members"] = Json::array();
    for (const auto& member : e.verdict.members) json["members"].push_back(member.str());
    if (e.verdict.refusal) {
        json["reason"] = e.verdict.refusal->message();
        json["hint"] = e.verdict.refusal->hint;
    }
    json["reservedRegions"] = Json::array();
    for (const auto& region : e.reserved_regions)
        json["reservedRegions"].push_back(
            {{"start", region.start}, {"end", region.end}, {"type", region.type}});
    return json;
}

Json holders_of(const doctor::Explanation& e) {
    if (e.unread.contains("holders")) return {};
    Json list = Json::array();
    for (const auto& holder : e.holders) list.push_back(vfio::describe({holder}));
    return list;
}

}  // namespace

Json to_json(const Finding& finding) {
    Json json{{"level", vfb::to_string(finding.level)},
              {"check", finding.check},
              {"subject", finding.subject},
              {"text", finding.text}};
    if (!finding.hint.empty()) json["hint"] = finding.hint;
    return json;
}

Json to_json(const std::vector<Finding>& findings) {
    Json list = Json::array();
    for (const auto& finding : findings) list.push_back(to_json(finding));
    return list;
}

Json to_json(const doctor::Explanation& e) {
    Json json{{"function", to_json(e.function)}, {"isolation", isolation_of(e)}};
    json["uses"] = e.unread.contains("host-use") ? Json() : uses_json(e.uses);
    json["holders"] = holders_of(e);
    json["problems"] = Json::array();
    for (const auto& [check, error] : e.unread) json["problems"].push_back(error.message());
    if (e.function.group) json["group"] = *e.function.group;
    if (!e.group_type.empty()) json["groupType"] = e.group_type;
    json["members"] = Json::array();
    for (const auto& member : e.members) {
        json["members"].push_back(member_json(member));
        if (e.unread.contains("host-use")) json["members"].back()["uses"] = nullptr;
    }
    json["bridges"] = Json::array();
    for (const auto& bridge : e.bridges) json["bridges"].push_back(bridge_json(bridge));
    json["findings"] = to_json(doctor::findings(e));
    return json;
}

Json unread_to_json(const Error& error) {
    const Finding finding{.level = Finding::Level::fail,
                          .check = "read",
                          .subject = error.subject,
                          .text = error.message(),
                          .hint = error.hint.empty() ? "see the log of vfbrokerd" : error.hint};
    return {{"unread", true},
            {"isolation",
             {{"viable", nullptr},
              {"members", Json::array()},
              {"reservedRegions", Json::array()},
              {"reason", error.message()},
              {"hint", finding.hint}}},
            {"uses", nullptr},
            {"holders", nullptr},
            {"problems", {error.message()}},
            {"members", Json::array()},
            {"bridges", Json::array()},
            {"findings", to_json(std::vector{finding})}};
}

}  // namespace vfb::daemon
