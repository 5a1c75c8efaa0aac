// SPDX-License-Identifier: GPL-2.0-or-later
#include "plan_view.hpp"

#include "applier.hpp"
#include "proto/connection.hpp"

namespace vfb::daemon {
namespace {

using broker::Change;
using proto::Json;

Json to_json(const Change& change) {
    Json json{{"action", to_string(change.action)},
              {"subject", change.subject},
              {"property", change.property},
              {"text", change.text}};
    if (change.address) json["address"] = change.address->str();
    if (!change.from.empty()) json["from"] = change.from;
    if (!change.to.empty()) json["to"] = change.to;
    return json;
}

Json to_json(const broker::PfPlan& pf) {
    Json json{{"name", pf.name}, {"changes", Json::array()}, {"blocked", Json::array()}};
    if (pf.address) json["address"] = pf.address->str();
    for (const auto& change : pf.changes) json["changes"].push_back(to_json(change));
    for (const auto& error : pf.blocked)
        json["blocked"].push_back(
            {{"code", to_string(error.code)}, {"message", error.message()}, {"hint", error.hint}});
    json["later"] = pf.later;
    return json;
}

}  // namespace

Json to_json(const broker::Plan& plan) {
    Json json{{"id", plan_id(plan)},
              {"add", plan.count(Change::Action::add)},
              {"change", plan.count(Change::Action::change)},
              {"remove", plan.count(Change::Action::remove)},
              {"physicalFunctions", Json::array()}};
    for (const auto& pf : plan.pfs) json["physicalFunctions"].push_back(to_json(pf));
    return json;
}

}  // namespace vfb::daemon
