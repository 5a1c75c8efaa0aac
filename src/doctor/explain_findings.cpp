// SPDX-License-Identifier: GPL-2.0-or-later
//
// What follows from the facts about one function: a check each, in the order in which they are
// told.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/size.hpp"
#include "doctor/explain.hpp"
#include "machine_findings.hpp"
#include "report.hpp"

namespace vfb::doctor {
namespace {

using Level = Finding::Level;

void check_driver(const Explanation& e, Report& report) {
    const auto& driver = e.function.driver;
    if (!driver) return report.pass("it is bound to no driver");
    if (pci::is_vfio_driver(driver) || e.function.is_bridge() || e.function.is_pf())
        return report.pass("it is bound to " + *driver);
    report.note(fmt::format("it is bound to {}, a driver of the host", *driver),
                "for a VF, vfbroker changes that as soon as a pool has it and the host does not "
                "use it");
}

// Only uses of these are known (broker/device_work.hpp).
bool has_known_uses(const pci::Function& function) {
    constexpr std::uint32_t kStorageClass = 0x01;
    constexpr std::uint32_t kNetworkClass = 0x02;
    const auto base_class = function.class_code >> 16;
    return base_class == kStorageClass || base_class == kNetworkClass;
}

void check_host_use(const Explanation& e, Report& report) {
    if (e.function.is_bridge())
        return report.pass("a bridge is used by what is below it, each function for itself");
    if (e.function.driver && !pci::is_vfio_driver(e.function.driver) && !has_known_uses(e.function))
        return report.note(fmt::format("what {} uses it for is not known: only uses of networks "
                                       "and disks are",
                                       *e.function.driver),
                           "see to it that no program needs it before it is given away");
    for (const auto& use : e.uses)
        report.warn(use.text, "end that use before the function can be taken from the host");
    if (e.uses.empty()) report.pass("the host uses it for nothing");
}

void check_holders(const Explanation& e, Report& report) {
    if (e.holders.empty()) return report.pass("no process has its VFIO node open");
    report.note("open in " + vfio::describe(e.holders),
                "it can be somebody else's only when these processes have closed it or ended");
}

void check_group(const Explanation& e, Report& report) {
    const auto& verdict = e.verdict;
    if (e.function.is_bridge() && verdict.group)
        return report.pass(
            fmt::format("it is in group {}, where a bridge is in nobody's way", *verdict.group));
    if (!verdict.group)
        return report.fail(verdict.refusal ? verdict.refusal->reason : "it is in no IOMMU group",
                           verdict.refusal ? verdict.refusal->hint : "");
    if (e.noiommu && verdict.refusal)
        return report.fail(verdict.refusal->reason, verdict.refusal->hint);
    if (!verdict.obstacles.empty())
        return report.fail(fmt::format("group {} also holds {}", *verdict.group,
                                       iommu::describe(verdict.obstacles)),
                           verdict.refusal ? verdict.refusal->hint : "");
    if (verdict.members.size() < 2)
        return report.pass(
            fmt::format("group {} isolates it from every other function", *verdict.group));
    std::vector<std::string> others;
    for (const auto& member : verdict.members)
        if (member != e.function.address) others.push_back(member.str());
    report.note(fmt::format("group {} also holds {}", *verdict.group, fmt::join(others, ", ")),
                "all of them can go to one owner only, together");
}

std::string hint_for(const iommu::AcsGap& gap) {
    if (gap.multifunction) return "functions of one device without ACS go to one owner, together";
    if (gap.pcie_to_pci) return "use a PCI Express card, in a slot that no such bridge leads to";
    return iommu::acs_hint({gap});
}

// Where the group is larger than the function, its bridges are at fault; where there is no group,
// they would be.
void check_acs(const Explanation& e, Report& report) {
    if (e.function.is_bridge()) {
        const auto& own = e.bridges.front();
        if (!own.gap || own.quirk)
            return report.pass("it isolates what is below it, or needs not to");
        return report.warn(iommu::describe(*own.gap), hint_for(*own.gap));
    }
    const bool shared = e.verdict.members.size() > 1;
    if (!shared && e.verdict.group)
        return report.pass(e.bridges.empty() ? "it stands on a root bus, below no bridge"
                                             : "nothing on its way to the root lacks isolation");
    const auto level = e.verdict.obstacles.empty() ? Level::warn : Level::fail;
    std::vector<iommu::AcsGap> gaps = e.verdict.gaps;
    if (!e.verdict.group)
        for (const auto& bridge : e.bridges)
            // What is only off, the kernel turns on as soon as there is an IOMMU.
            if (bridge.gap && !bridge.gap->capability) gaps.push_back(*bridge.gap);
    for (const auto& gap : gaps)
        report.add(level, gap.bridge.str(), iommu::describe(gap), hint_for(gap));
    const bool unknown =
        e.verdict.gaps_unknown ||
        std::ranges::any_of(e.bridges, [](const auto& bridge) { return !bridge.capability; });
    if (unknown)
        return report.note(
            "the config space of a bridge cannot be read: which is at fault is not "
            "known in full",
            "vfbrokerd needs CAP_SYS_ADMIN for it");
    if (gaps.empty() && shared)
        return report.note("no bridge shows why the group is so large",
                           "the kernel may know the device to isolate less than it claims");
    if (gaps.empty()) report.pass("nothing on its way to the root lacks isolation");
}

void check_interrupts(const Explanation& e, Report& report) {
    report_interrupts(e.platform, e.interrupts_hint, report);
}

void check_unsafe_options(const Explanation& e, Report& report) {
    report_unsafe_options(e.platform, report);
}

std::string range_of(const iommu::ReservedRegion& region) {
    return fmt::format("{:#x}-{:#x}", region.start, region.end);
}

void check_reserved(const Explanation& e, Report& report) {
    std::vector<std::string> harmless;
    for (const auto& region : e.reserved_regions) {
        if (region.type == "direct")
            report.fail(fmt::format("the firmware keeps {} of memory mapped for it (RMRR): the "
                                    "kernel gives such a function to nobody",
                                    range_of(region)),
                        "look for a firmware setting or update that ends this (sharing memory "
                        "with the management controller), or use another slot");
        else if (region.type == "direct-relaxable")
            report.note(fmt::format("the firmware asks for {} to stay mapped for it, which the "
                                    "kernel need not do",
                                    range_of(region)),
                        "nothing to do, unless the function fails in a guest");
        else
            harmless.push_back(fmt::format("{} ({})", range_of(region), region.type));
    }
    if (!harmless.empty())
        report.pass(fmt::format("guest memory leaves out {}", fmt::join(harmless, ", ")));
    else if (e.reserved_regions.empty())
        report.pass("none");
}

void check_reset(const Explanation& e, Report& report) {
    const auto methods = e.function.reset_methods();
    if (e.function.is_bridge()) return report.pass("a bridge is not reset between guests");
    if (methods.empty() && !e.function.is_vf())
        return report.note("the kernel knows no way to reset it",
                           "nothing to do as long as it stays with the host");
    if (methods.empty())
        return report.warn(
            "the kernel knows no way to reset it: what one owner left in it is "
            "there for the next",
            "a pool takes it only with reset = \"if-available\"");
    const bool alone = std::ranges::any_of(
        methods, [](const std::string& method) { return method != "bus" && method != "cxl_bus"; });
    if (alone) return report.pass(fmt::format("it can be reset by {}", fmt::join(methods, ", ")));
    report.note("it can be reset only together with everything on its bus",
                "VFIO does that only when all of that has one owner");
}

// Windows of memory; where the firmware or the kernel found no room for one, it has no address.
void check_windows(const std::vector<pci::Bar>& bars, std::string_view what, std::uint64_t times,
                   Report& report) {
    std::uint64_t total = 0;
    bool missing = false;
    for (const auto& bar : bars) {
        if (bar.io || bar.index > 5) continue;
        total += bar.size * times;
        if (bar.address != 0) continue;
        missing = true;
        report.fail(fmt::format("{} {} of {} has no address: there was no room for it", what,
                                bar.index, readable_size(bar.size * times)),
                    "turn on \"above 4G decoding\" in the firmware settings, or boot with "
                    "pci=realloc");
    }
    if (!missing && total > 0)
        report.pass(fmt::format("{} of memory windows, all with addresses", readable_size(total)));
    if (!missing && total == 0) report.pass("it has no memory windows");
}

void check_bars(const Explanation& e, Report& report) {
    check_windows(e.function.bars, "BAR", 1, report);
}

void check_vf_bars(const Explanation& e, Report& report) {
    const auto& sriov = e.function.sriov;
    if (!sriov) return;
    if (sriov->total == 0)
        return report.fail("it can have no VFs",
                           "turn SR-IOV on in the firmware setup of the machine and of the card");
    check_windows(sriov->vf_bars, "VF BAR", sriov->total, report);
}

void check_numa(const Explanation& e, Report& report) {
    if (e.function.numa_node)
        return report.pass(
            fmt::format("it is on node {}: a guest is fastest there", *e.function.numa_node));
    if (e.nodes.empty() || e.nodes == "0") return report.pass("the machine has one node");
    report.note("the firmware does not say on which NUMA node it is",
                "pools with numa rules treat it as far from every node");
}

void check_variant(const Explanation& e, Report& report) {
    if (e.function.is_bridge()) return report.pass("a bridge is not bound to VFIO");
    if (e.variants.empty())
        return report.pass("this kernel has no VFIO driver made for it: vfio-pci is right");
    const auto loaded = std::ranges::find_if(
        e.variants, [](const auto& variant) { return variant.driver.has_value(); });
    if (loaded != e.variants.end())
        return report.pass(fmt::format("{} is made for it, and is used", *loaded->driver));
    report.note(fmt::format("{} is made for it (live migration), and is not loaded",
                            e.variants.front().module),
                fmt::format("modprobe {}, then vfbroker reload", e.variants.front().module));
}

void check_backend(const Explanation& e, Report& report) {
    report_backend(e.support, report);
}

struct FunctionCheck {
    std::string_view name;
    void (*run)(const Explanation&, Report&);
    bool of_host = false;  // it is about the machine, not this function
};

constexpr std::array<FunctionCheck, 14> kFunctionChecks{{
    {"driver", check_driver},
    {"host-use", check_host_use},
    {"holders", check_holders},
    {"iommu-group", check_group},
    {"acs", check_acs},
    {"interrupt-remapping", check_interrupts, true},
    {"unsafe-options", check_unsafe_options, true},
    {"reserved-regions", check_reserved},
    {"reset", check_reset},
    {"bars", check_bars},
    {"vf-bars", check_vf_bars},
    {"numa", check_numa},
    {"variant-driver", check_variant},
    {"backend", check_backend, true},
}};

// Checks that say nothing true when what another one needs could not be read.
const Error* unread_for(const Explanation& e, std::string_view check) {
    const auto find = [&](const char* name) {
        const auto found = e.unread.find(name);
        return found == e.unread.end() ? nullptr : &found->second;
    };
    if (check == "acs") return find("iommu-group");
    if (check == "unsafe-options") return find("interrupt-remapping");
    return find(std::string(check).c_str());
}

}  // namespace

std::vector<Finding> findings(const Explanation& e) {
    std::vector<Finding> all;
    for (const FunctionCheck& check : kFunctionChecks) {
        Report report{std::string(check.name), check.of_host ? "host" : e.function.address.str(),
                      all};
        if (const Error* error = unread_for(e, check.name))
            report.note(error->message(),
                        error->hint.empty() ? "see the log of vfbrokerd" : error->hint);
        else
            check.run(e, report);
    }
    return all;
}

}  // namespace vfb::doctor
