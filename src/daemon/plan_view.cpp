// SPDX-License-Identifier: GPL-2.0-or-later
#include "plan_view.hpp"

#include <fmt/format.h>

#include "applier.hpp"
#include "proto/connection.hpp"

namespace vfb::daemon {
namespace {

using broker::Change;
using proto::Json;

Json change_json(const Change& change) {
    Json json{{"action", to_string(change.action)},
              {"subject", change.subject},
              {"property", change.property},
              {"text", change.text}};
    if (change.address) json["address"] = change.address->str();
    if (!change.from.empty()) json["from"] = change.from;
    if (!change.to.empty()) json["to"] = change.to;
    return json;
}

Json pf_json(const broker::PfPlan& pf) {
    Json json{{"name", pf.name}, {"changes", Json::array()}, {"blocked", Json::array()}};
    if (pf.address) json["address"] = pf.address->str();
    for (const auto& change : pf.changes) json["changes"].push_back(change_json(change));
    for (const auto& error : pf.blocked)
        json["blocked"].push_back(
            {{"code", to_string(error.code)}, {"message", error.message()}, {"hint", error.hint}});
    json["later"] = pf.later;
    json["refused"] = pf.refused;
    return json;
}

std::string in_words(const Change& change) {
    return fmt::format("{}: {}", change.subject, change.text);
}

// The texts of a plan are the administrator's, and name leases in full.
std::string as_told_to(const broker::Caller& caller, std::string text,
                       const broker::Broker& broker) {
    for (const auto& [id, lease] : broker.leases()) {
        if (broker::Broker::may_touch(lease, caller)) continue;
        const std::string in_full = describe(lease);
        for (auto at = text.find(in_full); at != std::string::npos; at = text.find(in_full, at))
            text.replace(at, in_full.size(), fmt::format("lease {}", id));
    }
    return text;
}

}  // namespace

void add_differences(doctor::DaemonFacts& facts, const Result<broker::Plan>& plan,
                     const broker::Broker& broker, const broker::Caller& caller) {
    if (!plan) {
        facts.no_plan = plan.error().message();
        facts.no_plan_hint = plan.error().hint;
        return;
    }
    const auto add = [&](const std::string& subject, std::size_t count, std::string first,
                         bool later) {
        first = as_told_to(caller, std::move(first), broker);
        facts.differences.push_back({.subject = subject,
                                     .count = static_cast<unsigned>(count),
                                     .first = std::move(first),
                                     .later = later});
    };
    for (const auto& pf : plan->pfs) {
        std::vector<std::string> changes;
        for (const auto& change : pf.changes)
            if (change.property != "state")  // functions in trouble are told of by themselves
                changes.push_back(in_words(change));
        for (const auto& error : pf.blocked) changes.push_back(error.message());
        if (!changes.empty()) add(pf.name, changes.size(), changes.front(), false);
        if (!pf.later.empty()) add(pf.name, pf.later.size(), pf.later.front(), true);
    }
    for (const auto& change : plan->pools) add(change.subject, 1, in_words(change), false);
}

Json to_json(const broker::Plan& plan) {
    Json json{{"id", plan_id(plan)},
              {"add", plan.count(Change::Action::add)},
              {"change", plan.count(Change::Action::change)},
              {"remove", plan.count(Change::Action::remove)},
              {"physicalFunctions", Json::array()},
              {"pools", Json::array()}};
    for (const auto& pf : plan.pfs) json["physicalFunctions"].push_back(pf_json(pf));
    for (const auto& change : plan.pools) json["pools"].push_back(change_json(change));
    return json;
}

}  // namespace vfb::daemon
