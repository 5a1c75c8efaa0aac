// SPDX-License-Identifier: GPL-2.0-or-later
#include "worker_operations.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <set>

#include "base/ssh_session.hpp"
#include "doctor/doctor.hpp"
#include "doctor/explain.hpp"
#include "doctor_wire.hpp"
#include "explain_wire.hpp"
#include "pci/inventory.hpp"
#include "proto/connection.hpp"
#include "wire.hpp"

namespace vfb::daemon {
namespace {

struct Context {
    broker::DeviceWork& work;
    const SysRoot& root;
    const Json& parameters;
    const SendPart& part;

    [[nodiscard]] Result<pci::Address> address(const char* name) const {
        return pci::Address::parse(parameters.at(name).get<std::string>());
    }
    [[nodiscard]] Result<std::vector<pci::Address>> addresses() const {
        std::vector<pci::Address> list;
        for (const auto& text : parameters.at("addresses")) {
            VFB_TRY(const auto parsed, pci::Address::parse(text.get<std::string>()));
            list.push_back(parsed);
        }
        return list;
    }
};

Json problems_to_json(const std::vector<pci::ReadProblem>& problems) {
    Json list = Json::array();
    for (const auto& problem : problems) list.push_back(proto::to_json(problem.error));
    return list;
}

// Whether something is unknown of a function for a reason that is not the function's.
bool lacks_means(const pci::ReadProblem& problem) {
    const int errnum = problem.error.errnum;
    return errnum == EMFILE || errnum == ENFILE || errnum == ENOMEM;
}

// Every function of the machine, each a part; of those that could not be read whole, that.
Result<WorkerReply> inventory(const Context& c) {
    std::vector<pci::ReadProblem> problems;
    VFB_TRY(const auto functions, pci::Inventory(c.root).read_all(&problems));
    std::set<pci::Address> unread;
    for (const auto& problem : problems)
        if (lacks_means(problem)) unread.insert(problem.address);
    for (const auto& function : functions)
        if (!unread.contains(function.address)) c.part(to_json(function));
    for (const auto& address : unread) c.part({{"unread", address.str()}});
    WorkerReply reply;
    reply.parameters["problems"] = problems_to_json(problems);
    return reply;
}

// Some functions anew, each a part: the function, or that it is gone. Of one that could not be read
// there is neither, and why is among the problems.
Result<WorkerReply> read(const Context& c) {
    VFB_TRY(const auto addresses, c.addresses());
    std::vector<pci::ReadProblem> problems;
    pci::Inventory inventory(c.root);
    for (const auto& address : addresses) {
        std::vector<pci::ReadProblem> own;
        auto function = inventory.read(address, &own);
        if (function && std::ranges::none_of(own, lacks_means))
            c.part(to_json(*function));
        else if (!function && function.error().code == Code::not_found)
            c.part({{"gone", address.str()}});
        else if (!function)
            own.push_back({address, std::move(function).error()});
        std::ranges::move(own, std::back_inserter(problems));
    }
    WorkerReply reply;
    reply.parameters["problems"] = problems_to_json(problems);
    return reply;
}

Result<broker::PreparePfRequest> prepare_request(const Context& c) {
    broker::PreparePfRequest request;
    VFB_TRY(request.pf, c.address("pf"));
    request.vfs = c.parameters.at("vfs").get<unsigned>();
    request.link_up = c.parameters.at("linkUp").get<bool>();
    const auto settings = pf_settings_from_json(c.parameters.at("settings"));
    request.mtu = settings.mtu;
    request.eswitch_mode = settings.eswitch_mode;
    request.attributes = c.parameters.at("attributes").get<std::vector<std::string>>();
    return request;
}

Json vfs_to_json(const std::vector<pci::Address>& vfs, const std::vector<pci::Binding>& bindings) {
    Json list = Json::array();
    for (std::size_t i = 0; i < vfs.size(); ++i)
        list.push_back({{"address", vfs[i].str()}, {"binding", to_json(bindings[i])}});
    return list;
}

// What `prepare-pf` with the same parameters would change.
Result<WorkerReply> read_pf(const Context& c) {
    VFB_TRY(const auto request, prepare_request(c));
    VFB_TRY(const auto found, c.work.read_pf(request));
    WorkerReply reply;
    reply.parameters["autoprobe"] = found.autoprobe;
    if (found.up) reply.parameters["up"] = *found.up;
    reply.parameters["settings"] =
        to_json(PfSettings{.mtu = found.mtu, .eswitch_mode = found.eswitch_mode});
    reply.parameters["vfs"] = vfs_to_json(found.vfs, found.bindings);
    reply.parameters["limits"] = to_json(found.limits);
    return reply;
}

Result<WorkerReply> prepare_pf(const Context& c) {
    VFB_TRY(const auto request, prepare_request(c));
    VFB_TRY(const auto prepared, c.work.prepare_pf(request));
    WorkerReply reply;
    reply.parameters["created"] = prepared.created;
    reply.parameters["vfs"] = vfs_to_json(prepared.vfs, prepared.bindings);
    if (prepared.limits) reply.parameters["limits"] = to_json(*prepared.limits);
    return reply;
}

Result<WorkerReply> give_back_pf(const Context& c) {
    broker::GiveBackRequest request;
    VFB_TRY(request.pf, c.address("pf"));
    request.remove_vfs = c.parameters.at("removeVfs").get<bool>();
    request.found_vfs = c.parameters.at("foundVfs").get<unsigned>();
    request.autoprobe = c.parameters.at("autoprobe").get<bool>();
    request.set_down = c.parameters.at("setDown").get<bool>();
    const auto settings = pf_settings_from_json(c.parameters.at("settings"));
    request.mtu = settings.mtu;
    request.eswitch_mode = settings.eswitch_mode;
    for (const auto& vf : c.parameters.at("vfs"))
        request.bindings.emplace(vf.at("index").get<unsigned>(),
                                 binding_from_json(vf.at("binding")));
    VFB_CHECK(c.work.give_back_pf(request));
    return WorkerReply{};
}

Result<WorkerReply> resize_pf(const Context& c) {
    broker::ResizePfRequest request;
    VFB_TRY(request.pf, c.address("pf"));
    request.vfs = c.parameters.at("vfs").get<unsigned>();
    VFB_TRY(request.despite, despite_from_json(c.parameters.at("despite")));
    VFB_CHECK(c.work.resize_pf(request));
    return WorkerReply{};
}

Result<WorkerReply> read_attributes(const Context& c) {
    VFB_TRY(const auto pf, c.address("pf"));
    VFB_TRY(const auto all, c.work.read_attributes(pf));
    WorkerReply reply;
    reply.parameters["attributes"] = Json::array();
    for (const auto& one : all) reply.parameters["attributes"].push_back(to_json(one));
    return reply;
}

Result<WorkerReply> survey_pf(const Context& c) {
    VFB_TRY(const auto pf, c.address("pf"));
    VFB_TRY(const auto survey,
            c.work.survey_pf(pf, c.parameters.at("wanted").get<unsigned>(),
                             c.parameters.at("asked").get<std::vector<std::string>>()));
    WorkerReply reply;
    reply.parameters = to_json(survey);
    return reply;
}

Result<WorkerReply> read_limits(const Context& c) {
    VFB_TRY(const auto pf, c.address("pf"));
    VFB_TRY(const auto limits,
            c.work.read_limits(pf, c.parameters.at("asked").get<std::vector<std::string>>()));
    WorkerReply reply;
    reply.parameters = to_json(limits);
    return reply;
}

Result<WorkerReply> scrub(const Context& c) {
    VFB_TRY(const auto request, scrub_request_from_json(c.parameters));
    VFB_TRY(const auto report, c.work.scrub(request));
    WorkerReply reply;
    reply.parameters["driver"] = report.driver;
    reply.parameters["attributes"] = to_json(report.attributes);
    reply.parameters["unsupported"] = report.unsupported;
    reply.parameters["support"] = to_json(report.support);
    return reply;
}

Result<WorkerReply> set_attributes(const Context& c) {
    VFB_TRY(const auto pf, c.address("pf"));
    std::vector<nic::VfRequest> requests;
    for (const auto& vf : c.parameters.at("vfs")) {
        VFB_TRY(auto wanted, attributes_from_json(vf.at("attributes")));
        requests.push_back({.index = vf.at("index").get<unsigned>(), .wanted = std::move(wanted)});
    }
    VFB_TRY(const auto actual, c.work.set_attributes(pf, requests));
    WorkerReply reply;
    reply.parameters["attributes"] = Json::array();
    for (const auto& attributes : actual)
        reply.parameters["attributes"].push_back(to_json(attributes));
    return reply;
}

Result<WorkerReply> lend_netdev(const Context& c) {
    VFB_TRY(const auto pf, c.address("pf"));
    VFB_TRY(const auto vf, c.address("vf"));
    WorkerReply reply;
    VFB_TRY(reply.parameters["netdev"], c.work.lend_netdev(pf, vf));
    return reply;
}

// The group backend's descriptors: the container, the groups, then a device for each function.
Result<WorkerReply> open_groups(const Context& c) {
    VFB_TRY(const auto addresses, c.addresses());
    VFB_TRY(auto opened, vfio::open_groups(c.root, addresses));
    WorkerReply reply;
    reply.parameters["groups"] = opened.groups.size();
    reply.descriptors.push_back(std::move(opened.container));
    for (auto& group : opened.groups) reply.descriptors.push_back(std::move(group));
    for (auto& device : opened.devices) reply.descriptors.push_back(std::move(device));
    return reply;
}

// Who has each of them open, in their order.
Result<WorkerReply> holders(const Context& c) {
    VFB_TRY(const auto addresses, c.addresses());
    VFB_TRY(const auto found, vfio::find_holders(c.root, addresses));
    WorkerReply reply;
    reply.parameters["holders"] = Json::array();
    for (const auto& of_one : found) {
        Json list = Json::array();
        for (const auto& holder : of_one)
            list.push_back({{"pid", holder.pid}, {"name", holder.name}});
        reply.parameters["holders"].push_back(std::move(list));
    }
    return reply;
}

Result<WorkerReply> give_back_vf(const Context& c) {
    VFB_TRY(const auto address, c.address("address"));
    VFB_CHECK(c.work.give_back_vf(address, binding_from_json(c.parameters.at("binding"))));
    return WorkerReply{};
}

// What `show` and `explain` add to the inventory.
Result<WorkerReply> explain(const Context& c) {
    VFB_TRY(const auto address, c.address("address"));
    const auto client = ssh_client_of(c.root.proc(), c.parameters.value("caller", pid_t{0}));
    VFB_TRY(const auto explanation, doctor::explain(c.root, c.work, address, client.value_or("")));
    WorkerReply reply;
    reply.parameters = to_json(explanation);
    return reply;
}

// Every check of `doctor`; what the daemon alone knows comes with the call.
Result<WorkerReply> diagnose(const Context& c) {
    VFB_TRY(const auto facts, daemon_facts_from_json(c.parameters));
    WorkerReply reply;
    reply.parameters["findings"] = to_json(doctor::diagnose(doctor::read_host(c.root, &facts)));
    return reply;
}

using Operation = Result<WorkerReply> (*)(const Context&);

constexpr std::array<std::pair<std::string_view, Operation>, 17> kOperations{{
    {"inventory", inventory},
    {"read", read},
    {"read-pf", read_pf},
    {"prepare-pf", prepare_pf},
    {"give-back-pf", give_back_pf},
    {"resize-pf", resize_pf},
    {"survey-pf", survey_pf},
    {"read-limits", read_limits},
    {"read-attributes", read_attributes},
    {"scrub", scrub},
    {"set-attributes", set_attributes},
    {"lend-netdev", lend_netdev},
    {"open-groups", open_groups},
    {"holders", holders},
    {"give-back-vf", give_back_vf},
    {"explain", explain},
    {"diagnose", diagnose},
}};

}  // namespace

Result<WorkerReply> run_operation(broker::DeviceWork& work, const SysRoot& root,
                                  const std::string& operation, const Json& parameters,
                                  const SendPart& part) {
    for (const auto& [name, run] : kOperations)
        if (name == operation)
            return run(Context{.work = work, .root = root, .parameters = parameters, .part = part});
    return fail(Code::invalid, "run " + operation + " in a worker", operation,
                "there is no such operation");
}

}  // namespace vfb::daemon
