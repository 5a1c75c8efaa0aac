// SPDX-License-Identifier: GPL-2.0-or-later
#include "doctor_wire.hpp"

namespace vfb::daemon {

using proto::Json;

Json to_json(const doctor::DaemonFacts& facts) {
    Json json{{"pid", facts.pid},
              {"version", facts.version},
              {"configFaults", Json::array()},
              {"configInForce", facts.config_in_force},
              {"pfs", Json::array()}};
    for (const auto& fault : facts.config_faults)
        json["configFaults"].push_back(
            {{"place", fault.place}, {"text", fault.text}, {"hint", fault.hint}});
    for (const auto& pf : facts.pfs) {
        Json entry{{"name", pf.name},       {"state", pf.state},     {"wanted", pf.wanted},
                   {"present", pf.present}, {"problem", pf.problem}, {"hint", pf.hint}};
        if (pf.address) entry["address"] = pf.address->str();
        json["pfs"].push_back(std::move(entry));
    }
    json["counts"] = facts.counts;
    json["troubled"] = Json::array();
    for (const auto& slot : facts.troubled)
        json["troubled"].push_back({{"subject", slot.subject},
                                    {"state", slot.state},
                                    {"problem", slot.problem},
                                    {"hint", slot.hint}});
    json["differences"] = Json::array();
    for (const auto& difference : facts.differences)
        json["differences"].push_back({{"subject", difference.subject},
                                       {"count", difference.count},
                                       {"first", difference.first},
                                       {"later", difference.later}});
    json["noPlan"] = facts.no_plan;
    json["noPlanHint"] = facts.no_plan_hint;
    return json;
}

Result<doctor::DaemonFacts> daemon_facts_from_json(const Json& json) {
    doctor::DaemonFacts facts;
    facts.pid = json.at("pid").get<pid_t>();
    facts.version = json.at("version").get<std::string>();
    for (const auto& fault : json.at("configFaults"))
        facts.config_faults.push_back({.place = fault.at("place").get<std::string>(),
                                       .text = fault.at("text").get<std::string>(),
                                       .hint = fault.at("hint").get<std::string>()});
    facts.config_in_force = json.at("configInForce").get<std::string>();
    for (const auto& entry : json.at("pfs")) {
        doctor::DaemonFacts::Pf pf{.name = entry.at("name").get<std::string>(),
                                   .address = {},
                                   .state = entry.at("state").get<std::string>(),
                                   .wanted = entry.at("wanted").get<unsigned>(),
                                   .present = entry.at("present").get<unsigned>(),
                                   .problem = entry.at("problem").get<std::string>(),
                                   .hint = entry.at("hint").get<std::string>()};
        if (entry.contains("address")) {
            VFB_TRY(pf.address, pci::Address::parse(entry.at("address").get<std::string>()));
        }
        facts.pfs.push_back(std::move(pf));
    }
    facts.counts = json.at("counts").get<std::map<std::string, unsigned>>();
    for (const auto& slot : json.at("troubled"))
        facts.troubled.push_back({.subject = slot.at("subject").get<std::string>(),
                                  .state = slot.at("state").get<std::string>(),
                                  .problem = slot.at("problem").get<std::string>(),
                                  .hint = slot.at("hint").get<std::string>()});
    for (const auto& difference : json.at("differences"))
        facts.differences.push_back({.subject = difference.at("subject").get<std::string>(),
                                     .count = difference.at("count").get<unsigned>(),
                                     .first = difference.at("first").get<std::string>(),
                                     .later = difference.at("later").get<bool>()});
    facts.no_plan = json.at("noPlan").get<std::string>();
    facts.no_plan_hint = json.at("noPlanHint").get<std::string>();
    return facts;
}

}  // namespace vfb::daemon
