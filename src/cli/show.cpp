// SPDX-License-Identifier: GPL-2.0-or-later
#include "show.hpp"

#include <fmt/format.h>

#include "base/size.hpp"
#include "output/addresses.hpp"
#include "output/fields.hpp"

namespace vfb::cli {
namespace {

using proto::Json;

constexpr const char* kNotKnown = "not known";

class Lines {
public:
    explicit Lines(std::string title) : text_(std::move(title) + "\n") {}

    // Nothing for an empty value: what is not known is not shown.
    void add(std::string_view label, std::string_view value) {
        if (!value.empty()) text_ += fmt::format("  {:<18}{}\n", label, value);
    }
    [[nodiscard]] const std::string& str() const { return text_; }

private:
    std::string text_;
};

std::uint64_t size_of(const Json& object, const char* name) {
    const Json& value = member(object, name);
    return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
}

void add_bars(Lines& lines, const char* label, const Json& object, const char* name) {
    for (const auto& bar : elements(object, name)) {
        std::string value = fmt::format("{} at {:#x}", readable_size(size_of(bar, "size")),
                                        size_of(bar, "address"));
        if (flag(bar, "io")) value += ", I/O ports";
        if (flag(bar, "wide")) value += ", 64-bit";
        if (flag(bar, "prefetchable")) value += ", prefetchable";
        lines.add(fmt::format("{} {}", label, number(bar, "index")), value);
    }
}

const char* up_or_down(const Json& netdev) {
    const auto up = yes_no(netdev, "up");
    return up.empty() ? kNotKnown : up == "yes" ? "up" : "down";
}

// `250 clean, 6 leased`.
std::string counted(const Json& counts) {
    std::string all;
    if (!counts.is_object()) return all;
    for (const auto& [state, count] : counts.items())
        all += fmt::format("{}{} {}", all.empty() ? "" : ", ", count.dump(), state);
    return all;
}

void add_identity(Lines& lines, const Json& detail, const Json& summary) {
    lines.add("ids", fmt::format("{} (subsystem {}, revision {})", text(summary, "ids"),
                                 text(detail, "subsystem"), number(detail, "revision")));
    lines.add("class", text(summary, "class"));
    lines.add("slot", text(detail, "slot"));
    lines.add("parent", text(detail, "parent"));
    lines.add("NUMA node", number(summary, "numaNode"));
    lines.add("driver", text(summary, "driver"));
    lines.add("original driver", text(detail, "originalDriver"));
    for (const auto& netdev : elements(detail, "netdevs"))
        lines.add("netdev", fmt::format("{} {} {}", text(netdev, "name"), text(netdev, "mac"),
                                        up_or_down(netdev)));
    lines.add("physical function", text(summary, "physicalFunction"));
    lines.add("VF index", number(summary, "index"));
}

void add_holding(Lines& lines, const Json& detail, const Json& summary) {
    lines.add("pool", text(summary, "pool"));
    lines.add("state", text(summary, "state"));
    lines.add("reason", text(detail, "reason"));
    lines.add("lease", number(summary, "lease"));
    lines.add("generation", number(detail, "generation"));
    lines.add("attributes", attributes(member(detail, "attributes")));
    lines.add("not supported", joined(detail, "unsupported", ", "));
    for (const auto& use : elements(detail, "uses"))
        lines.add("used by the host", fmt::format("{} [{}]", text(use, "text"), text(use, "kind")));
    if (!member(detail, "uses").is_array()) lines.add("used by the host", kNotKnown);
    lines.add("held open by", member(detail, "holders").is_array() ? joined(detail, "holders", ", ")
                                                                   : std::string(kNotKnown));
}

void add_isolation(Lines& lines, const Json& isolation) {
    lines.add("IOMMU group", number(isolation, "group"));
    lines.add("group members", address_ranges(elements(isolation, "members")));
    const auto viable = yes_no(isolation, "viable");
    const auto reason = text(isolation, "reason");
    lines.add("isolated", fmt::format("{}{}{}", viable.empty() ? std::string(kNotKnown) : viable,
                                      reason.empty() ? "" : ": ", reason));
    lines.add("hint", text(isolation, "hint"));
    for (const auto& region : elements(isolation, "reservedRegions"))
        lines.add("reserved", fmt::format("{:#x}-{:#x} {}", size_of(region, "start"),
                                          size_of(region, "end"), text(region, "type")));
}

void add_sriov(Lines& lines, const Json& sriov) {
    if (!sriov.is_object()) return;
    lines.add("VFs", fmt::format("{} of {}", number(sriov, "enabled"), number(sriov, "total")));
    lines.add("VF device", text(sriov, "vfDevice"));
    if (!number(sriov, "offset").empty())
        lines.add("VF offset, stride",
                  fmt::format("{}, {}", number(sriov, "offset"), number(sriov, "stride")));
    lines.add("ARI", yes_no(sriov, "ari"));
    lines.add("VF addresses", address_ranges(elements(sriov, "vfs")));
    lines.add("VF states", counted(member(sriov, "states")));
    add_bars(lines, "VF BAR", sriov, "vfBars");
}

}  // namespace

std::string describe(const Json& reply) {
    const Json& detail = member(reply, "function");
    const Json& summary = member(detail, "summary");
    Lines lines(fmt::format("{}  {}", text(summary, "address"), text(summary, "name")));
    add_identity(lines, detail, summary);
    add_holding(lines, detail, summary);
    add_isolation(lines, member(detail, "isolation"));
    add_sriov(lines, member(detail, "sriov"));
    lines.add("reset methods", joined(detail, "resetMethods"));
    add_bars(lines, "BAR", detail, "bars");
    for (const auto& problem : elements(detail, "problems"))
        if (problem.is_string()) lines.add("not known", problem.get_ref<const std::string&>());
    return lines.str();
}

}  // namespace vfb::cli
