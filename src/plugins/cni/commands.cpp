// SPDX-License-Identifier: GPL-2.0-or-later
#include "commands.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>

#include "attachments.hpp"
#include "base/sys_root.hpp"
#include "ipam.hpp"
#include "nic/guest_link.hpp"
#include "nic/network.hpp"
#include "result.hpp"

namespace vfb::cni {
namespace {

using proto::Json;

constexpr const char* kAgain = "end this attachment (DEL) and begin it again (ADD)";

// The namespace of the container, open.
Outcome<UniqueFd> open_namespace(const SysRoot& root, const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd)
        return std::unexpected(
            Failure(fail_errno(errno, "open the network namespace " + path, path, {},
                               "CNI_NETNS names it: is the container still there?")
                        .error()));
    VFB_TRY(const auto number, nic::namespace_number(fd.get(), path));
    VFB_TRY(const auto ours, root.proc().open_file("self/ns/net", O_RDONLY));
    VFB_TRY(const auto our_number, nic::namespace_number(ours.get(), "of this process"));
    if (number != our_number) return fd;
    return std::unexpected(Failure(kInvalidEnvironment,
                                   fmt::format("cannot use the network namespace {}: it is that "
                                               "of the host",
                                               path),
                                   "give the container a network namespace of its own"));
}

Result<int> ifindex_of(const SysRoot& root, const client::LeasedFunction& function) {
    const auto folder = fmt::format("bus/pci/devices/{}/net", function.address);
    VFB_TRY(const auto names, root.sys().list(folder));
    // By what is there now: udev may have renamed it since.
    for (const auto& name : names)
        if (const auto number = root.sys().read_number(fmt::format("{}/{}/ifindex", folder, name)))
            return static_cast<int>(*number);
    return fail(Code::lost, "find the network interface of " + function.address, function.address,
                fmt::format("{} was there, and is not any more", function.netdev),
                "which other program moves network interfaces here?");
}

Result<nic::GuestLink> set_up(const std::string& ifname, const Config& config,
                              const Addressing& addressing) {
    VFB_TRY(const auto link, nic::find_guest_link(ifname));
    VFB_CHECK(nic::set_guest_link_up(link.ifindex, ifname, config.mtu));
    for (const auto& address : addressing.addresses)
        VFB_CHECK(nic::add_address(link.ifindex, ifname, address));
    for (const auto& path : addressing.paths) VFB_CHECK(nic::add_route(link.ifindex, ifname, path));
    return nic::find_guest_link(ifname);
}

Outcome<> refuse_second(client::Client& client, const Config& config, const std::string& name) {
    VFB_TRY(const auto attachments, attachments_of(client, config.network));
    const auto it = std::ranges::find(attachments, name, &client::LeaseSummary::guest);
    if (it == attachments.end()) return {};
    return std::unexpected(
        Failure(kOurs + 5,
                fmt::format("cannot attach the container: it has {} on this network by that "
                            "interface already",
                            it->functions.front().address),
                "end that first (DEL), or ask for another interface"));
}

// Of an IPAM plugin; nothing without one.
Outcome<Addressing> ask_for_addresses(const Environment& environment, const Config& config) {
    if (config.ipam.empty()) return Addressing{};
    VFB_TRY(const Json answer, delegate(config.ipam, "ADD", environment, config));
    return read_addressing(answer);
}

// From the interface being in the namespace to the lease being kept.
Outcome<Attachment> finish(client::Client& client, const client::Lease& lease, int netns,
                           const Environment& environment, const Config& config,
                           const Addressing& addressing) {
    Attachment attachment{.ifname = environment.ifname,
                          .netns = environment.netns,
                          .address = lease.functions.front().address,
                          .link = {}};
    VFB_CHECK(nic::in_namespace(netns, environment.netns, [&]() -> Result<> {
        VFB_TRY(attachment.link, set_up(environment.ifname, config, addressing));
        return {};
    }));
    VFB_CHECK(client::keep(client, lease.id));
    return attachment;
}

// What the namespace says of an interface, against what it should be.
Result<> compare(const Environment& environment, const std::string& address, const Config& config,
                 const Addressing& addressing) {
    const auto& ifname = environment.ifname;
    const std::string operation = "find " + ifname + " as ADD left it";
    VFB_TRY(const auto link, nic::find_guest_link(ifname));
    VFB_TRY(const auto network, nic::read_network());
    const auto it = std::ranges::find(network.links, ifname, &nic::HostLink::name);
    if (it == network.links.end() || (!it->pci_address.empty() && it->pci_address != address))
        return fail(Code::lost, operation, ifname,
                    fmt::format("the interface of that name is not {}", address), kAgain);
    if (!link.up) return fail(Code::failed, operation, ifname, "it is down", kAgain);
    const auto mac = previous_mac(config.previous, ifname, environment.netns);
    if (!mac)
        return fail(Code::invalid, operation, ifname, "prevResult has no such interface",
                    "the container runtime gives it: see its log");
    if (!mac->empty() && *mac != link.mac)
        return fail(Code::failed, operation, ifname,
                    fmt::format("its MAC address is {}, and was {}", link.mac, *mac), kAgain);
    for (const auto& wanted : addressing.addresses) {
        const auto has = [&](const nic::HostAddress& known) {
            return known.ifindex == link.ifindex && known.text == wanted.text;
        };
        if (std::ranges::none_of(network.addresses, has))
            return fail(Code::failed, operation, ifname,
                        fmt::format("it has not the address {} any more", wanted.text), kAgain);
    }
    return {};
}

Failure not_attached(const Environment& environment, const Config& config) {
    return {kOurs + 4,
            fmt::format("cannot find {} of container {} on network {}: no VF is leased for it",
                        environment.ifname, environment.container, config.network),
            kAgain};
}

}  // namespace

Outcome<Json> add(const Environment& environment, const std::string& input) {
    VFB_TRY(auto config, read_config(input, environment.args));
    VFB_TRY(const auto root, SysRoot::host());
    VFB_TRY(const auto netns, open_namespace(root, environment.netns));
    VFB_TRY(auto client, connect(config));
    const auto name = attachment_name(config.network, environment.container, environment.ifname);
    VFB_CHECK(refuse_second(client, config, name));
    config.request.guest = name;
    config.request.owner = "connection";
    config.request.hand_off = "netdev";
    config.request.as_tenant = true;
    VFB_TRY(const auto lease, client::lease(client, config.request));
    VFB_TRY(const int ifindex, ifindex_of(root, lease.functions.front()));
    VFB_CHECK(nic::move_link(ifindex, netns.get(), environment.netns, environment.ifname));
    VFB_TRY(const auto addressing, ask_for_addresses(environment, config));
    const auto attached = finish(client, lease, netns.get(), environment, config, addressing);
    if (attached) return make_result(config, *attached, addressing);
    // The lease ends with the connection; what the IPAM plugin gave out is nobody else's to end.
    if (!config.ipam.empty()) (void)delegate(config.ipam, "DEL", environment, config);
    return std::unexpected(attached.error());
}

Outcome<Json> del(const Environment& environment, const std::string& input) {
    VFB_TRY(const auto config, read_config_to_end(input));
    Outcome<Json> addresses;
    if (!config.ipam.empty()) addresses = delegate(config.ipam, "DEL", environment, config);
    // Whatever came of that: the VF goes back.
    VFB_TRY(auto client, connect(config));
    VFB_TRY(const auto attachments, attachments_of(client, config.network));
    const auto name = attachment_name(config.network, environment.container, environment.ifname);
    for (const auto& attachment : attachments)
        if (attachment.guest == name) VFB_CHECK(client::end(client, attachment));
    if (!addresses) return std::unexpected(addresses.error());
    return Json();
}

Outcome<Json> check(const Environment& environment, const std::string& input) {
    VFB_TRY(const auto config, read_config(input, environment.args));
    if (!config.previous.is_object())
        return std::unexpected(Failure(kInvalidConfig, "cannot check: there is no prevResult",
                                       "the container runtime gives it: see its log"));
    VFB_TRY(const auto root, SysRoot::host());
    VFB_TRY(const auto netns, open_namespace(root, environment.netns));
    VFB_TRY(const auto addressing, read_addressing(config.previous));
    VFB_TRY(auto client, connect(config));
    VFB_TRY(const auto attachments, attachments_of(client, config.network));
    const auto name = attachment_name(config.network, environment.container, environment.ifname);
    const auto it = std::ranges::find(attachments, name, &client::LeaseSummary::guest);
    if (it == attachments.end() || it->functions.front().lost)
        return std::unexpected(not_attached(environment, config));
    VFB_CHECK(nic::in_namespace(netns.get(), environment.netns, [&] {
        return compare(environment, it->functions.front().address, config, addressing);
    }));
    if (!config.ipam.empty()) {
        VFB_TRY(const Json checked, delegate(config.ipam, "CHECK", environment, config));
    }
    return Json();
}

Outcome<Json> collect_garbage(const Environment& environment, const std::string& input) {
    VFB_TRY(const auto config, read_config_to_end(input));
    if (!config.valid)
        return std::unexpected(
            Failure(kInvalidConfig, "cannot collect garbage: there is no cni.dev/valid-attachments",
                    "the container runtime gives it: see its log"));
    Outcome<Json> collected;
    if (!config.ipam.empty()) collected = delegate(config.ipam, "GC", environment, config);
    VFB_TRY(auto client, connect(config));
    VFB_TRY(const auto attachments, attachments_of(client, config.network));
    for (const auto& attachment : attachments) {
        if (config.valid->contains(attachment.guest)) continue;
        // One that cannot be ended keeps none of the others.
        if (auto ended = client::end(client, attachment); !ended && collected)
            collected = std::unexpected(ended.error());
    }
    if (!collected) return std::unexpected(collected.error());
    return Json();
}

Outcome<Json> status(const Environment& environment, const std::string& input) {
    VFB_TRY(const auto config, read_config(input, environment.args));
    const auto unavailable = [](const std::string& why, const std::string& hint) {
        return std::unexpected(Failure(kUnavailable, why, hint));
    };
    auto client = connect(config);
    if (!client) return unavailable(client.error().msg, client.error().details);
    VFB_TRY(const auto reply, client->call("ListPools", Json::object()));
    const auto pools = reply.parameters.value("pools", Json::array());
    const auto pool = std::ranges::find_if(
        pools, [&](const Json& one) { return one.value("name", "") == config.request.pool; });
    if (pool == pools.end())
        return unavailable(fmt::format("vfbrokerd has no pool {}", config.request.pool),
                           "vfbroker pool lists them; vfbroker.toml(5) tells how to make one");
    // All leased is no fault: a runtime that asks later finds one.
    if (pool->value("clean", 0) + pool->value("leased", 0) + pool->value("preparing", 0) == 0)
        return unavailable(fmt::format("pool {} has no VF in working order", config.request.pool),
                           "vfbroker pool, and vfbroker doctor, tell why");
    if (!config.ipam.empty()) {
        VFB_TRY(const Json said, delegate(config.ipam, "STATUS", environment, config));
    }
    return Json();
}

Json version(const std::string& input) {
    Json versions = Json::array();
    for (const auto known : kVersions) versions.push_back(known);
    return {{"cniVersion", version_of(input)}, {"supportedVersions", std::move(versions)}};
}

}  // namespace vfb::cni
