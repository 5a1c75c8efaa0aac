// SPDX-License-Identifier: GPL-2.0-or-later
#include "leases.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vfb::libvirt {
namespace {

using client::FunctionList;
using client::FunctionSummary;
using client::LeaseRequest;
using client::LeaseSummary;

const FunctionSummary* find(const FunctionList& functions, const std::string& address) {
    const auto found =
        std::ranges::find_if(functions, [&](const auto& f) { return f.address == address; });
    return found == functions.end() || found->pool.empty() ? nullptr : &*found;
}

const LeaseSummary* kept_lease(const Domain& domain, const std::string& address,
                               const std::vector<LeaseSummary>& leases) {
    const auto found = std::ranges::find_if(leases, [&](const LeaseSummary& lease) {
        return is_kept_for(lease, domain) && lease.holds(address);
    });
    return found == leases.end() ? nullptr : &*found;
}

// What vfbroker does and libvirt would do as well.
Result<> refuse_double_work(const Domain& domain, const HostFunction& function,
                            const std::string& pool) {
    const std::string operation = fmt::format("lease {} from pool {}", function.address, pool);
    if (function.interface)
        return fail(Code::unsupported, operation, function.address,
                    "the domain has it as <interface type='hostdev'>, whose MAC address and VLAN "
                    "libvirt would write behind vfbroker's back",
                    fmt::format("virsh edit {}: make it a <hostdev managed='no'>, with mac and "
                                "vlan in <metadata>, see vfbroker-libvirt-hook(8)",
                                domain.name));
    if (function.managed)
        return fail(Code::unsupported, operation, function.address,
                    "the domain has it with managed='yes', and libvirt would take it from the "
                    "driver that vfbroker bound it to",
                    fmt::format("virsh edit {}: set managed='no' for it", domain.name));
    return {};
}

bool same(const client::Attributes& a, const client::Attributes& b) {
    LeaseRequest of_a;
    LeaseRequest of_b;
    of_a.attributes = a;
    of_b.attributes = b;
    return client::to_json(of_a) == client::to_json(of_b);
}

}  // namespace

std::string guest_of(const Domain& domain) {
    constexpr std::size_t kMostName = 200;  // of the 256 bytes that a guest's name may have
    return fmt::format("{} ({})", domain.name.substr(0, kMostName), domain.uuid);
}

bool is_of(const LeaseSummary& lease, const Domain& domain) {
    // A domain may be renamed; its UUID stays. Other users may call their guests what they like.
    return lease.uid == 0 && lease.owner == "process" &&
           lease.guest.ends_with(fmt::format("({})", domain.uuid));
}

bool is_kept_for(const LeaseSummary& lease, const Domain& domain) {
    return lease.uid == 0 && lease.owner == "guest" && lease.guest == domain.name;
}

Result<std::vector<LeaseRequest>> needed(const Domain& domain, const FunctionList& functions,
                                         const std::vector<LeaseSummary>& leases) {
    std::vector<LeaseRequest> requests;
    std::vector<std::pair<std::string, std::optional<std::int64_t>>> units;
    for (const HostFunction& function : domain.functions) {
        const FunctionSummary* summary = find(functions, function.address);
        if (summary == nullptr && function.attributes)
            return fail(Code::not_found, "lease " + function.address, function.address,
                        "<metadata> asks for attributes of it, and it is in no pool",
                        "vfbroker list");
        if (summary == nullptr) continue;
        VFB_CHECK(refuse_double_work(domain, function, summary->pool));
        if (const auto* kept = kept_lease(domain, function.address, leases); kept != nullptr) {
            if (!function.attributes) continue;
            return fail(
                Code::busy, "lease " + function.address, function.address,
                fmt::format("lease {} was taken by hand for this domain, and <metadata> "
                            "asks for attributes",
                            kept->id),
                fmt::format("vfbroker release {}, or take them out of <metadata>", kept->id));
        }
        const client::Attributes attributes = function.attributes.value_or(client::Attributes{});
        const std::pair unit(summary->pool, summary->group);
        const auto found = std::ranges::find(units, unit);
        if (found != units.end() && summary->group) {
            auto& request = requests[static_cast<std::size_t>(found - units.begin())];
            if (!same(request.attributes, attributes))
                return fail(Code::invalid, "lease " + function.address, function.address,
                            fmt::format("it is leased together with {}, as both are in IOMMU "
                                        "group {}, and <metadata> asks for other attributes",
                                        request.functions.front(), *summary->group),
                            "ask for the same attributes of both");
            request.functions.push_back(function.address);
            continue;
        }
        units.push_back(unit);
        LeaseRequest& request = requests.emplace_back();
        request.pool = summary->pool;
        request.functions = {function.address};
        request.guest = guest_of(domain);
        request.attributes = attributes;
        request.backend = domain.iommufd ? "iommufd" : "group";
        request.owner = "connection";
        request.hand_off = "none";
    }
    return requests;
}

std::vector<std::string> unleased(const Domain& domain, const FunctionList& functions,
                                  const std::vector<LeaseSummary>& leases) {
    std::vector<std::string> missing;
    for (const HostFunction& function : domain.functions) {
        if (find(functions, function.address) == nullptr) continue;
        const auto mine = [&](const LeaseSummary& lease) {
            return (is_of(lease, domain) || is_kept_for(lease, domain)) &&
                   lease.holds(function.address);
        };
        if (std::ranges::none_of(leases, mine)) missing.push_back(function.address);
    }
    return missing;
}

}  // namespace vfb::libvirt
