// SPDX-License-Identifier: GPL-2.0-or-later
//
// The methods of Service that change what there is to lease: for administrators only.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "answers.hpp"
#include "events.hpp"
#include "log.hpp"
#include "plan_view.hpp"
#include "service.hpp"
#include "wire.hpp"

namespace vfb::daemon {
namespace {

constexpr unsigned kLongestDrainWait = 7 * 24 * 3600;

Json progress_json(const Applier::Progress& now) {
    Json pfs = Json::array();
    for (const auto& pf : now.pfs)
        pfs.push_back(Json{{"name", pf.name}, {"clean", pf.clean}, {"total", pf.total}});
    return {{"done", now.done}, {"total", now.total}, {"physicalFunctions", std::move(pfs)}};
}

}  // namespace

bool Service::administers(const Request& request, const std::string& operation,
                          const std::string& subject, const std::string& hint) {
    if (request.caller.uid == 0 || request.caller.administrator) return true;
    refuse(request, fail(Code::denied, operation, subject,
                         fmt::format("only root and members of the group {} may do that",
                                     broker::kAdministrators),
                         hint)
                        .error());
    return false;
}

std::string Service::pf_name(const std::string& name) const {
    const auto address = pci::Address::parse(name);
    if (!address) return name;
    // Not the name that it had before: that one stays for as long as leases are left of it.
    for (const auto& [pf, status] : hardware_.pfs())
        if (status.address == *address && broker_.config().find_pf(pf) != nullptr) return pf;
    return name;
}

void Service::reload(const Request& request) {
    const Parameters parameters(request.call.parameters);
    if (!accepted(request, parameters)) return;
    if (!administers(request, "reload the configuration", "configuration", "sudo vfbroker reload"))
        return;
    reload_([request](const Result<std::optional<broker::Plan>>& left) {
        if (!left) return refuse(request, left.error());
        succeed(request, *left ? Json{{"left", to_json(**left)}} : Json::object());
    });
}

void Service::plan(const Request& request) {
    Parameters parameters(request.call.parameters);
    const Json despite = parameters.any("despite");
    const Json instead = parameters.any("instead");
    if (!accepted(request, parameters)) return;
    if (!administers(request, "plan the configuration", "configuration", "sudo vfbroker plan"))
        return;
    const auto parsed = despite_from_json(despite);
    if (!parsed) return refuse(request, parsed.error());
    auto texts = file_texts_from_json(instead);
    if (!texts) return refuse(request, texts.error());
    applier_.plan(*parsed, std::move(*texts), [request](const Result<broker::Plan>& plan) {
        if (!plan) return refuse(request, plan.error());
        succeed(request, {{"plan", to_json(*plan)}});
    });
}

void Service::apply(const Request& request) {
    Parameters parameters(request.call.parameters);
    Applier::Request wanted;
    wanted.plan = parameters.optional_text("plan").value_or("");
    const Json despite = parameters.any("despite");
    if (!accepted(request, parameters)) return;
    if (!administers(request, "apply the configuration", "configuration", "sudo vfbroker apply"))
        return;
    auto parsed = despite_from_json(despite);
    if (!parsed) return refuse(request, parsed.error());
    wanted.despite = std::move(*parsed);
    wanted.caller = request.caller;
    if (request.progress)
        wanted.progress = [request](const Applier::Progress& now) {
            request.progress(dump(proto::make_reply(progress_json(now), true)));
        };
    wanted.done = [request](const Result<broker::Plan>& left) {
        if (!left) return refuse(request, left.error());
        succeed(request, {{"left", to_json(*left)}});
    };
    applier_.apply(std::move(wanted));
}

void Service::drain(const Request& request) {
    Parameters parameters(request.call.parameters);
    const std::string name = parameters.text("target");
    const auto wait = parameters.optional_number("waitSeconds", 0, kLongestDrainWait).value_or(0);
    if (!accepted(request, parameters)) return;
    if (!administers(request, "drain " + name, name, "sudo vfbroker drain " + name)) return;
    const auto target = broker_.find_target(pf_name(name));
    if (!target) return refuse(request, target.error());
    drainer_.drain(*target, std::chrono::seconds(wait),
                   [request](const Result<std::vector<broker::LeaseId>>& left) {
                       if (!left) return refuse(request, left.error());
                       succeed(request, {{"leases", *left}});
                   });
    lease_watchers_.changed();
}

void Service::resume(const Request& request) {
    Parameters parameters(request.call.parameters);
    const std::string name = parameters.text("target");
    if (!accepted(request, parameters)) return;
    if (!administers(request, "resume " + name, name, "sudo vfbroker resume " + name)) return;
    const auto target = broker_.find_target(pf_name(name));
    if (!target) return refuse(request, target.error());
    if (!broker_.drained().contains(*target))
        return refuse(request, fail(Code::invalid, "resume " + target->str(), name,
                                    "it is not drained", "vfbroker pool, vfbroker status")
                                   .error());
    if (auto done = broker_.resume(*target); !done) return refuse(request, done.error());
    log(Level::notice, "{} is leased from again", target->str());
    succeed(request, Json::object());
    leasing_.serve_waiting();
    lease_watchers_.changed();
}

void Service::resize(const Request& request) {
    Parameters parameters(request.call.parameters);
    const std::string name = parameters.text("physicalFunction");
    const auto vfs = parameters.number("vfs", 0, UINT16_MAX);
    const Json despite = parameters.any("despite");
    if (!accepted(request, parameters)) return;
    if (!administers(request, "resize " + name, name, "sudo vfbroker resize")) return;
    const auto parsed = despite_from_json(despite);
    if (!parsed) return refuse(request, parsed.error());
    resizer_.resize(pf_name(name), static_cast<unsigned>(vfs), *parsed, request.caller,
                    [request](const Result<>& done) {
                        if (!done) return refuse(request, done.error());
                        succeed(request, Json::object());
                    });
}

void Service::take(const Request& request) {
    Parameters parameters(request.call.parameters);
    const std::string name = parameters.text("function");
    const Json despite = parameters.any("despite");
    if (!accepted(request, parameters)) return;
    if (!administers(request, "take " + name, name, "sudo vfbroker take")) return;
    const auto address = pci::Address::parse(name);
    if (!address) return refuse(request, address.error());
    const auto parsed = despite_from_json(Json::array(
        {{{"function", name}, {"reasons", despite.is_null() ? Json::array() : despite}}}));
    if (!parsed) return refuse(request, parsed.error());
    const auto named = parsed->find(*address);
    const broker::Slot* slot = broker_.find_at(*address);
    const auto operation = fmt::format("take {} from the host", *address);
    if (slot == nullptr)
        return refuse(request, fail(Code::not_found, operation, name, "it is in no pool",
                                    "vfbroker list shows what is; see vfbroker.toml(5)")
                                   .error());
    if (slot->state != broker::SlotState::quarantined)
        return refuse(request,
                      fail(Code::invalid, operation, name,
                           fmt::format("it is {}, and not refused", to_string(slot->state)),
                           fmt::format("vfbroker show {}", *address))
                          .error());
    const auto reasons = named == parsed->end() ? std::set<std::string>{} : named->second;
    log_event(Event::despite,
              {.functions = {*address},
               .pfs = {slot->key.pf},
               .pool = slot->pool,
               .lease = {},
               .guest = {},
               .owner = {},
               .caller = request.caller},
              fmt::format("{} takes {} from the host despite: {}", describe(request.caller),
                          *address, fmt::join(reasons, ", ")));
    hardware_.scrubber().scrub(slot->key, reasons, [this, request, key = slot->key] {
        const broker::Slot* now = broker_.find(key);
        if (now != nullptr && now->problem) return refuse(request, *now->problem);
        succeed(request, Json::object());
    });
}

}  // namespace vfb::daemon
