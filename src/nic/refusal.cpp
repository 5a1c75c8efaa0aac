// SPDX-License-Identifier: GPL-2.0-or-later
#include "refusal.hpp"

#include <fmt/format.h>
#include <linux/if_link.h>

#include <cerrno>

#include "link_query.hpp"

namespace vfb::nic {
namespace {

struct Why {
    int errnum;
    int type;  // IFLA_VF_* concerned; 0: any
    bool (*when)(const Link&, const VfAttributes&);
    Code code;
    std::string_view reason;
    std::string_view hint;
};

bool any(const Link&, const VfAttributes&) {
    return true;
}
bool minimum_rate(const Link&, const VfAttributes& all) {
    return all.min_tx_rate.value_or(0) != 0;
}
bool pf_down(const Link& link, const VfAttributes&) {
    return !link.up;
}
bool no_carrier(const Link& link, const VfAttributes&) {
    return !link.carrier;
}

constexpr std::string_view kBringUp = "set the PF's network device up: ip link set dev PF up";

// The first that fits counts. What drivers do is from their sources: igb and ixgbe take a rate only
// with the link up and up to its speed, and no minimum; bnxt_en answers EINVAL while its PF is
// down; i40e and iavf EAGAIN while the VF resets.
constexpr Why kWhy[] = {
    {EPERM, 0, any, Code::denied, "", "changing VFs needs CAP_NET_ADMIN"},
    {EPROTONOSUPPORT, IFLA_VF_VLAN_LIST, any, Code::unsupported,
     "the driver knows no such VLAN protocol", "use vlan_protocol 802.1Q"},
    {EOPNOTSUPP, 0, any, Code::unsupported, "the driver cannot set it",
     "leave it at its default, or use a device whose driver can"},
    {EINVAL, 0, pf_down, Code::invalid,
     "the PF's network device is down, and some drivers set nothing then", kBringUp},
    {EINVAL, IFLA_VF_RATE, minimum_rate, Code::invalid,
     "the driver refuses the rates; many (igb, ixgbe) have no minimum rate",
     "leave min_tx_rate at 0"},
    {EINVAL, IFLA_VF_RATE, no_carrier, Code::invalid,
     "the PF has no link, and some drivers (igb, ixgbe) take a rate only with one",
     "set the rate when the PF's link is up"},
    {EINVAL, IFLA_VF_RATE, any, Code::invalid, "the driver refuses the rate",
     "a rate above the PF's link speed is refused by most drivers"},
    {EINVAL, 0, any, Code::invalid, "the driver refuses the value", ""},
    {ERANGE, 0, any, Code::invalid, "the value is out of the driver's range", ""},
    {EAGAIN, 0, any, Code::busy, "the VF is not ready, perhaps being reset", "try again"},
    {EBUSY, 0, any, Code::busy, "the VF or PF is busy", "try again"},
    {ENETDOWN, 0, any, Code::failed, "the PF's network device is down", kBringUp},
    {ENODEV, 0, any, Code::lost, "the device is gone", ""},
};

const Why* find_why(const Change& change, const Link& link, const VfAttributes& all) {
    for (const auto& why : kWhy)
        if (why.errnum == change.answer.errnum &&
            (why.type == 0 || why.type == change.attributes.front()->type) && why.when(link, all))
            return &why;
    return nullptr;
}

}  // namespace

bool Change::unsupported() const {
    return answer.errnum == EOPNOTSUPP || answer.errnum == EPROTONOSUPPORT;
}

std::vector<std::string> Change::names() const {
    std::vector<std::string> result;
    for (const auto* attribute : attributes) result.emplace_back(attribute->info.name);
    return result;
}

std::string set_operation(std::span<const Attribute* const> attributes, const Link& link,
                          unsigned index, const VfAttributes& all) {
    std::string text = "set";
    for (const auto* attribute : attributes)
        text += fmt::format(" {}={}", attribute->info.name, attribute->format(all));
    return text + " on " + vf_name(link, index);
}

Error refusal(const Change& change, const Link& link, unsigned index, const VfAttributes& all) {
    const auto* const why = find_why(change, link, all);
    Error error{.code = why != nullptr ? why->code : code_of_errno(change.answer.errnum),
                .errnum = change.answer.errnum,
                .operation = set_operation(change.attributes, link, index, all),
                .subject = vf_name(link, index),
                .reason = std::string(why != nullptr ? why->reason : ""),
                .hint = std::string(why != nullptr ? why->hint : ""),
                .cause = nullptr};
    if (change.unsupported() && !link.driver.empty())
        error.reason = "not supported by " + link.driver;
    // The driver's own words know better than the table.
    if (!change.answer.text.empty()) error.reason = change.answer.text;
    return error;
}

}  // namespace vfb::nic
