// SPDX-License-Identifier: GPL-2.0-or-later
#include "service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "answers.hpp"
#include "doctor_wire.hpp"
#include "explain_wire.hpp"
#include "peer.hpp"
#include "plan_view.hpp"
#include "wire.hpp"

namespace vfb::daemon {
namespace {

using namespace std::chrono_literals;

constexpr auto kExplainTimeout = 10s;
constexpr auto kDiagnoseTimeout = 60s;
constexpr unsigned kLongestLeaseWait = 24 * 3600;
// Descriptors of one lease travel in one message: 253 less the context.
constexpr unsigned kMaxCount = 252;
constexpr std::size_t kMaxGuestName = 256;
constexpr std::size_t kMaxWatched = 1024;

std::optional<ProcessId> process_from_json(const Json& json) {
    if (!json.is_object()) return std::nullopt;
    Parameters members(json);
    const ProcessId process{.pid = static_cast<pid_t>(members.number("pid", 1, INT32_MAX)),
                            .start_time = members.number("startTime", 0, INT64_MAX)};
    if (members.fault()) return std::nullopt;
    return process;
}

// The functions that a lease is asked for by their addresses; then their number is the count.
bool read_functions(const Json& json, broker::LeaseRequest& wanted) {
    if (json.is_null()) return true;
    if (!json.is_array() || json.empty() || json.size() > kMaxCount) return false;
    for (const Json& text : json) {
        if (!text.is_string()) return false;
        const auto address = pci::Address::parse(text.get<std::string>());
        if (!address) return false;
        wanted.functions.push_back(*address);
    }
    wanted.count = static_cast<unsigned>(wanted.functions.size());
    return true;
}

std::optional<std::vector<LeaseWatchers::Watched>> watched_from_json(const Json& json) {
    if (!json.is_array() || json.empty() || json.size() > kMaxWatched) return std::nullopt;
    std::vector<LeaseWatchers::Watched> leases;
    for (const Json& entry : json) {
        if (!entry.is_object()) return std::nullopt;
        Parameters members(entry);
        leases.push_back({.id = static_cast<broker::LeaseId>(members.number("lease", 0, INT64_MAX)),
                          .generation = members.number("generation", 0, INT64_MAX),
                          .ended = {}});
        if (members.fault()) return std::nullopt;
    }
    return leases;
}

Json held_to_json(const Leasing::Held& held) {
    if (!held) return Json::object();
    Json list = Json::array();
    for (const auto& [function, holders] : *held)
        list.push_back(Json{{"function", function.str()}, {"holders", holders}});
    return {{"held", std::move(list)}};
}

// That a call names; empty when it names none.
std::string pool_of(const proto::Call& call) {
    if (!call.parameters.is_object()) return {};
    const auto pool = call.parameters.find("pool");
    return pool != call.parameters.end() && pool->is_string() ? pool->get<std::string>() : "";
}

Error refusal_without_more(const std::string& operation) {
    return fail(Code::invalid, operation, {}, "it goes on, and one reply alone was asked for",
                "call it with `more`")
        .error();
}

}  // namespace

const Service::Entry* Service::find(const std::string& name) {
    static constexpr auto kMethods = std::to_array<Entry>({
        {"org.varlink.service.GetInfo", &Service::get_info, Needs::nothing},
        {"org.varlink.service.GetInterfaceDescription", &Service::get_interface_description,
         Needs::nothing},
        {"io.vfbroker.List", &Service::list, Needs::inventory},
        {"io.vfbroker.Show", &Service::show, Needs::inventory},
        {"io.vfbroker.Explain", &Service::explain, Needs::inventory},
        {"io.vfbroker.ListPools", &Service::list_pools, Needs::inventory},
        {"io.vfbroker.ListLeases", &Service::list_leases, Needs::nothing},
        {"io.vfbroker.Status", &Service::status, Needs::inventory_at_best},
        {"io.vfbroker.Diagnose", &Service::diagnose, Needs::inventory_at_best},
        {"io.vfbroker.Lease", &Service::lease, Needs::inventory},
        {"io.vfbroker.Release", &Service::release, Needs::nothing},
        {"io.vfbroker.Transfer", &Service::transfer, Needs::nothing},
        {"io.vfbroker.Keep", &Service::keep, Needs::nothing},
        {"io.vfbroker.Reload", &Service::reload, Needs::inventory_at_best},
        {"io.vfbroker.Plan", &Service::plan, Needs::inventory},
        {"io.vfbroker.Apply", &Service::apply, Needs::inventory},
        {"io.vfbroker.Drain", &Service::drain, Needs::nothing},
        {"io.vfbroker.Resume", &Service::resume, Needs::nothing},
        {"io.vfbroker.Resize", &Service::resize, Needs::inventory},
        {"io.vfbroker.Take", &Service::take, Needs::inventory},
        {"io.vfbroker.Watch", &Service::watch, Needs::inventory},
        {"io.vfbroker.WatchLeases", &Service::watch_leases, Needs::nothing},
    });
    const auto* const found = std::ranges::find(kMethods, name, &Entry::name);
    return found == kMethods.end() ? nullptr : found;
}

void Service::handle(const Request& request) {
    const std::string& name = request.call.method;
    if (const Entry* entry = find(name)) {
        Request told = request;
        told.refused = [this, caller = request.caller,
                        pool = pool_of(request.call)](const Error& error) {
            if (error.code == Code::denied && error.errnum == 0) denials_.note(caller, pool, error);
        };
        if (entry->needs == Needs::nothing) return (this->*entry->method)(told);
        return gate_.pass(request.session, [this, told, entry](const Result<>& inventory) {
            if (!inventory && entry->needs == Needs::inventory)
                return refuse(told, inventory.error());
            (this->*entry->method)(told);
        });
    }
    const std::string interface = name.substr(0, name.rfind('.'));
    if (interface == proto::kInterface || interface == proto::kServiceInterface)
        request.reply(
            dump(proto::make_error("org.varlink.service.MethodNotFound", {{"method", name}})), {});
    else
        request.reply(dump(proto::make_error("org.varlink.service.InterfaceNotFound",
                                             {{"interface", interface}})),
                      {});
}

void Service::get_info(const Request& request) {
    const Parameters parameters(request.call.parameters);
    if (!accepted(request, parameters)) return;
    succeed(request, {{"vendor", "vfbroker"},
                      {"product", "vfbrokerd"},
                      {"version", VFB_VERSION},
                      {"url", "https://vfbroker.io"},
                      {"interfaces", {proto::kServiceInterface, proto::kInterface}}});
}

void Service::get_interface_description(const Request& request) {
    Parameters parameters(request.call.parameters);
    const std::string interface = parameters.text("interface");
    if (!accepted(request, parameters)) return;
    if (interface == proto::kInterface)
        return succeed(request, {{"description", proto::interface_description()}});
    if (interface == proto::kServiceInterface)
        return succeed(request, {{"description", proto::service_description()}});
    request.reply(dump(proto::make_error("org.varlink.service.InterfaceNotFound",
                                         {{"interface", interface}})),
                  {});
}

void Service::list(const Request& request) {
    Parameters parameters(request.call.parameters);
    const bool managed = parameters.flag("managed", false);
    if (!accepted(request, parameters)) return;
    request.reply(views_.list_text(managed), {});
}

void Service::watch(const Request& request) {
    const Parameters parameters(request.call.parameters);
    if (!accepted(request, parameters)) return;
    if (!request.progress) return refuse(request, refusal_without_more("watch for changes"));
    watchers_.add(request);
}

void Service::watch_leases(const Request& request) {
    Parameters parameters(request.call.parameters);
    const Json leases = parameters.any("leases");
    if (!accepted(request, parameters)) return;
    auto watched = watched_from_json(leases);
    if (!watched) return refuse_parameter(request, "leases");
    if (!request.progress) return refuse(request, refusal_without_more("watch leases"));
    lease_watchers_.add(request, std::move(*watched));
}

void Service::show(const Request& request) {
    read_function(request, "show", [this](const Json& explained, const pci::Function& function) {
        return Json{{"function", views_.detail(explained, function)}};
    });
}

void Service::explain(const Request& request) {
    read_function(request, "explain",
                  [this, request](const Json& explained, const pci::Function& function) {
                      return views_.explanation(explained, function, request.caller, root_);
                  });
}

void Service::read_function(const Request& request, const char* verb, const MakeReply& made) {
    Parameters parameters(request.call.parameters);
    const std::string text = parameters.text("function");
    if (!accepted(request, parameters)) return;
    const auto address = pci::Address::parse(text);
    if (!address) return refuse(request, address.error());
    const pci::Function* function = world_.find(*address);
    if (function == nullptr)
        return refuse(request, fail(Code::not_found, fmt::format("{} {}", verb, *address), text,
                                    "this machine has no such function", "vfbroker list --all")
                                   .error());
    // By the worker of its PF: if that is stuck, no other is held up.
    const auto name = function->physfn.value_or(*address).str();
    workers_.of(name).call(
        {.operation = "explain",
         .parameters = {{"address", address->str()}, {"caller", request.caller.process.pid}},
         .timeout = kExplainTimeout,
         .subject = address->str(),
         .done =
             [this, request, address = *address, made](Result<WorkerReply> reply) {
                 const pci::Function* known = world_.find(address);
                 // What does not come back is explained by what is known without it.
                 if (!reply && (reply.error().code == Code::not_found || known == nullptr))
                     return refuse(request, reply.error());
                 if (!reply) return succeed(request, made(unread_to_json(reply.error()), *known));
                 const auto fresh = function_from_json(reply->parameters.at("function"));
                 if (!fresh) return refuse(request, fresh.error());
                 succeed(request, made(reply->parameters, *fresh));
             },
         .part = {},
         .late = {}});
}

void Service::list_pools(const Request& request) {
    const Parameters parameters(request.call.parameters);
    if (accepted(request, parameters)) succeed(request, views_.pools(request.caller));
}

void Service::list_leases(const Request& request) {
    const Parameters parameters(request.call.parameters);
    if (accepted(request, parameters)) succeed(request, views_.leases(request.caller));
}

void Service::status(const Request& request) {
    const Parameters parameters(request.call.parameters);
    if (accepted(request, parameters)) succeed(request, views_.status(root_));
}

void Service::diagnose(const Request& request) {
    const Parameters parameters(request.call.parameters);
    if (!accepted(request, parameters)) return;
    applier_.plan({}, {}, [this, request](const Result<broker::Plan>& plan) {
        auto facts = views_.daemon_facts();
        add_differences(facts, plan, broker_, request.caller);
        diagnose(request, facts);
    });
}

void Service::diagnose(const Request& request, const doctor::DaemonFacts& facts) {
    // A worker of its own: it reads every function, and no other waits for one that hangs.
    workers_.of("doctor").call({.operation = "diagnose",
                                .parameters = to_json(facts),
                                .timeout = kDiagnoseTimeout,
                                .subject = "this host",
                                .done =
                                    [request](Result<WorkerReply> reply) {
                                        if (!reply) return refuse(request, reply.error());
                                        succeed(request, std::move(reply->parameters));
                                    },
                                .part = {},
                                .late = {}});
}

void Service::lease(const Request& request) {
    Parameters parameters(request.call.parameters);
    broker::LeaseRequest wanted;
    wanted.pool = parameters.text("pool");
    wanted.count =
        static_cast<unsigned>(parameters.optional_number("count", 1, UINT16_MAX).value_or(1));
    const Json functions = parameters.any("functions");
    wanted.guest = parameters.optional_text("guest").value_or("");
    const Json attributes = parameters.any("attributes");
    wanted.backend = parameters.word<vfio::Backend>("backend", vfio::backend_from_string);
    wanted.owner = parameters.word<broker::OwnerKind>("owner", broker::owner_kind_from_string)
                       .value_or(broker::OwnerKind::connection);
    wanted.hand_off = parameters.word<broker::HandOff>("handOff", broker::hand_off_from_string)
                          .value_or(broker::HandOff::descriptors);
    wanted.memory_lock = parameters.optional_number("memoryLock", 0, UINT64_MAX);
    wanted.as_tenant = parameters.flag("asTenant", false);
    const auto wait = parameters.optional_number("waitSeconds", 0, kLongestLeaseWait).value_or(0);
    const Json process = parameters.any("process");
    if (!accepted(request, parameters)) return;
    if (wanted.guest.size() > kMaxGuestName) return refuse_parameter(request, "guest");
    if (!process.is_null()) {
        const auto named = process_from_json(process);
        if (!named) return refuse_parameter(request, "process");
        auto user = identify_user(root_, request.caller, *named);
        if (!user) return refuse(request, user.error());
        wanted.user = *user;
    }
    if (!read_functions(functions, wanted)) return refuse_parameter(request, "functions");
    auto parsed = asked_attributes_from_json(attributes);
    if (!parsed) return refuse(request, parsed.error());
    wanted.attributes = *parsed;
    if (wanted.hand_off == broker::HandOff::descriptors && wanted.count > kMaxCount)
        return refuse(
            request,
            fail(Code::invalid, "lease from pool " + wanted.pool, wanted.pool,
                 fmt::format("descriptors of at most {} functions fit into one reply", kMaxCount),
                 "lease them in parts")
                .error());
    if (wanted.hand_off == broker::HandOff::netdev && request.caller.uid != 0)
        return refuse(
            request,
            fail(Code::denied, "lease from pool " + wanted.pool, wanted.pool,
                 "only root may have network interfaces",
                 "vfbroker run hands it over to a program; containers get it by vfbroker-cni(8)")
                .error());
    leasing_.lease(request.session, request.connection_fd, wanted, request.caller,
                   std::chrono::seconds(wait), [this, request](Result<Granted> granted) {
                       if (!granted) return refuse(request, granted.error());
                       const broker::Lease* lease = broker_.find_lease(granted->id);
                       Json json = views_.lease(*lease, &*granted);
                       for (auto& function : json["functions"])
                           if (const auto node = function.find("node"); node != function.end())
                               *node = root_.dev().path(node->get<std::string>());
                       succeed(request, {{"lease", std::move(json)}},
                               std::move(granted->descriptors));
                   });
}

void Service::transfer(const Request& request) {
    Parameters parameters(request.call.parameters);
    const auto id = parameters.number("lease", 0, INT64_MAX);
    const Json process = parameters.any("process");
    if (!accepted(request, parameters)) return;
    std::optional<ProcessId> to;
    if (!process.is_null()) {
        to = process_from_json(process);
        if (!to) return refuse_parameter(request, "process");
        if (const auto user = identify_user(root_, request.caller, *to); !user)
            return refuse(request, user.error());
    }
    const auto done = leasing_.transfer(static_cast<broker::LeaseId>(id), to, request.caller);
    if (!done) return refuse(request, done.error());
    succeed(request, Json::object());
}

void Service::release(const Request& request) {
    Parameters parameters(request.call.parameters);
    const auto id = parameters.number("lease", 0, INT64_MAX);
    const auto generation = parameters.optional_number("generation", 0, INT64_MAX);
    if (!accepted(request, parameters)) return;
    leasing_.release(static_cast<broker::LeaseId>(id), generation, request.caller,
                     [request](const Result<Leasing::Held>& held) {
                         if (!held) return refuse(request, held.error());
                         succeed(request, held_to_json(*held));
                     });
}

void Service::keep(const Request& request) {
    Parameters parameters(request.call.parameters);
    const auto id = parameters.number("lease", 0, INT64_MAX);
    if (!accepted(request, parameters)) return;
    leasing_.keep(static_cast<broker::LeaseId>(id), request.session,
                  [request](const Result<>& kept) {
                      if (!kept) return refuse(request, kept.error());
                      succeed(request, Json::object());
                  });
}

}  // namespace vfb::daemon
