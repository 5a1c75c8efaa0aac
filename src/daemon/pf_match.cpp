// SPDX-License-Identifier: GPL-2.0-or-later
#include "pf_match.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace vfb::daemon {
namespace {

using broker::PfConfig;
using broker::PfSelector;

// More are no help to anybody.
constexpr std::size_t kMostNearMisses = 3;

bool has_mac(const pci::Function& function, const nic::MacAddress& mac) {
    return std::ranges::any_of(function.netdevs, [&](const pci::Netdev& netdev) {
        const auto own = nic::MacAddress::parse(netdev.permanent_mac);
        return own && *own == mac;
    });
}

std::string macs_of(const pci::Function& function) {
    std::vector<std::string> list;
    for (const auto& netdev : function.netdevs)
        if (!netdev.permanent_mac.empty()) list.push_back(netdev.permanent_mac);
    return fmt::format("{}", fmt::join(list, " and "));
}

// How a function answers the selectors.
struct Comparison {
    bool all = true;                       // it is the one
    bool place = false;                    // one matches that is of this card or this place alone
    std::vector<std::string> differences;  // `mac 52:54:00:00:00:02`, what it has instead

    void look(const char* selector, bool matches, const std::string& actual) {
        if (matches) return;
        all = false;
        differences.push_back(actual.empty() ? fmt::format("no {}", selector)
                                             : fmt::format("{} {}", selector, actual));
    }
};

Comparison compare(const PfSelector& wanted, const pci::Function& f) {
    Comparison found;
    const auto look_at_place = [&](const char* selector, bool matches, const std::string& actual) {
        found.place |= matches;
        found.look(selector, matches, actual);
    };
    if (wanted.address) look_at_place("address", *wanted.address == f.address, f.address.str());
    if (wanted.slot) look_at_place("slot", *wanted.slot == f.slot.str(), f.slot.str());
    if (wanted.mac) look_at_place("mac", has_mac(f, *wanted.mac), macs_of(f));
    if (wanted.driver) found.look("driver", wanted.driver == f.driver, f.driver.value_or(""));
    if (wanted.vendor)
        found.look("vendor", *wanted.vendor == f.vendor, fmt::format("{:04x}", f.vendor));
    if (wanted.device)
        found.look("device", *wanted.device == f.device, fmt::format("{:04x}", f.device));
    return found;
}

std::string operation_of(const PfConfig& pf) {
    return fmt::format("find PF {} ({})", pf.name, pf.selector.str());
}

std::unexpected<Error> not_found(const PfConfig& pf, const std::vector<std::string>& near_misses) {
    if (near_misses.empty())
        return fail(
            Code::not_found, operation_of(pf), pf.name, "no function of this machine matches",
            fmt::format("vfbroker list --all shows all; the selector is at {}", pf.location.str()));
    return fail(Code::not_found, operation_of(pf), pf.name,
                fmt::format("no function of this machine matches all of it: {}",
                            fmt::join(near_misses, "; ")),
                fmt::format("a card was moved or replaced? correct the selectors at {}",
                            pf.location.str()));
}

Result<pci::Address> match(const PfConfig& pf, const iommu::Functions& functions) {
    std::vector<pci::Address> found;
    std::vector<std::string> near_misses;
    const pci::Function* without_sriov = nullptr;
    for (const auto& [address, function] : functions) {
        const Comparison compared = compare(pf.selector, function);
        if (compared.all && function.is_pf())
            found.push_back(address);
        else if (compared.all)
            without_sriov = &function;
        else if (compared.place && near_misses.size() < kMostNearMisses)
            near_misses.push_back(
                fmt::format("{} has {}", address, fmt::join(compared.differences, ", ")));
    }
    if (found.size() == 1) return found.front();
    if (found.size() > 1)
        return fail(Code::invalid, operation_of(pf), pf.name,
                    fmt::format("{} functions match: {}", found.size(), fmt::join(found, ", ")),
                    fmt::format("add a selector (address, slot or mac) at {}", pf.location.str()));
    if (without_sriov != nullptr)
        return fail(
            Code::unsupported, operation_of(pf), pf.name,
            fmt::format("{} ({}) has no SR-IOV", without_sriov->address, without_sriov->ids()),
            "SR-IOV may be off in the firmware setup of the machine or of the card");
    return not_found(pf, near_misses);
}

}  // namespace

PfMatches match_pfs(const std::vector<PfConfig>& pfs, const iommu::Functions& functions) {
    PfMatches matches;
    std::map<pci::Address, std::vector<const PfConfig*>> meant_by;
    for (const PfConfig& pf : pfs) {
        const auto& found = matches.emplace(pf.name, match(pf, functions)).first->second;
        if (found) meant_by[*found].push_back(&pf);
    }
    // In both, each of its VFs would be handed out twice; which of the two is right, nobody knows.
    for (const auto& [address, meaning] : meant_by)
        for (const PfConfig* pf : meaning)
            for (const PfConfig* other : meaning)
                if (other != pf)
                    matches.at(pf->name) =
                        fail(Code::invalid, operation_of(*pf), pf->name,
                             fmt::format("{} is what PF {} ({}) at {} means, too", address,
                                         other->name, other->selector.str(), other->location.str()),
                             fmt::format("keep one of the two tables, or correct the selectors at "
                                         "{}",
                                         pf->location.str()));
    return matches;
}

Result<pci::Address> stay(const PfConfig& pf, const std::optional<pci::Address>& place,
                          const Result<pci::Address>& match) {
    if (!match || !place || *place == *match) return match;
    return fail(Code::busy, fmt::format("use {} as PF {}", *match, pf.name), pf.name,
                fmt::format("PF {} was {}, and its selectors mean {} now", pf.name, *place, *match),
                fmt::format("give {} a table of its own, with another name, in place of the one at "
                            "{}: {} then is given back to the host when its leases have ended",
                            *match, pf.location.str(), *place));
}

}  // namespace vfb::daemon
