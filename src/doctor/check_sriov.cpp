// SPDX-License-Identifier: GPL-2.0-or-later
//
// Cards: whether they can have VFs, and whether there is room for these.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/size.hpp"
#include "checks.hpp"

namespace vfb::doctor {
namespace {

constexpr std::uint16_t kMellanox = 0x15b3;

// Where each maker has the switch. SR-IOV has to be on in the machine's own setup as well.
std::string firmware_hint(const pci::Function& function) {
    constexpr std::string_view setup =
        "turn SR-IOV on in the card's page of the firmware setup (HII) and in that of the machine";
    switch (function.vendor) {
        case kMellanox:
            return fmt::format(
                "mlxconfig -d {} set SRIOV_EN=1 NUM_OF_VFS=8, then reboot; SR-IOV has to be on in "
                "the firmware setup of the machine, too",
                function.address);
        case 0x8086:
            return fmt::format("{}; on E810 the NVM decides, too (Intel's bootutil, devlink)",
                               setup);
        case 0x14e4:
            return fmt::format(
                "{}; or with Broadcom's niccli or bnxtnvm: "
                "enable_sriov and number_of_vfs_per_pf",
                setup);
        case 0x1077:
            return fmt::format("{} (\"NIC + SR-IOV\"), or with QLogic's qaucli", setup);
        case 0x1924:
            return "sfboot switch-mode=sriov vf-count=8, then a cold reboot";
        default:
            return std::string(setup);
    }
}

// Every such card has SR-IOV; one that does not show it has it turned off.
bool hides_sriov(const pci::Function& function) {
    constexpr std::uint32_t kNetworkClass = 0x02;
    return function.vendor == kMellanox && function.class_code >> 16 == kNetworkClass &&
           !function.is_vf() && !function.is_pf();
}

// Without privileges the kernel shows 64 bytes of config space, and nothing of the capability.
bool is_hidden(const pci::Function& function) {
    return function.sriov && !function.sriov->initial;
}

void report_hidden(const Host& host, Report& report) {
    for (const auto& function : host.functions)
        if (is_hidden(function))
            report.add(Finding::Level::note, function.address.str(),
                       "its config space cannot be read beyond 64 bytes",
                       "run vfbroker doctor as root, or start vfbrokerd");
}

}  // namespace

void check_sriov(const Host& host, Report& report) {
    std::vector<std::string> good;
    for (const auto& function : host.functions) {
        if (hides_sriov(function))
            report.add(Finding::Level::warn, function.address.str(),
                       fmt::format("{} shows no SR-IOV", function.device_name.str()),
                       firmware_hint(function));
        if (!function.is_pf()) continue;
        if (function.sriov->total > 0)
            good.push_back(
                fmt::format("{} can have {} VFs", function.address, function.sriov->total));
        else
            report.add(Finding::Level::fail, function.address.str(),
                       "it has SR-IOV, but its firmware or driver allows no VFs",
                       firmware_hint(function));
    }
    if (!good.empty()) report.pass(fmt::format("{}", fmt::join(good, ", ")));
    if (report.empty())
        report.fail("no function of this machine shows SR-IOV: there can be no VFs",
                    "turn SR-IOV on in the firmware setup of the machine and of its cards");
}

void check_vf_bars(const Host& host, Report& report) {
    for (const auto& function : host.functions) {
        if (!function.sriov) continue;
        for (const auto& bar : function.sriov->vf_bars)
            if (bar.size > 0 && bar.address == 0)
                report.add(Finding::Level::fail, function.address.str(),
                           fmt::format("there was no room in memory for BAR {} of its VFs ({})",
                                       bar.index, readable_size(bar.size * function.sriov->total)),
                           "turn on \"above 4G decoding\" in the firmware settings, or boot with "
                           "pci=realloc");
    }
    report_hidden(host, report);
    if (report.empty()) report.pass("there is room in memory for all VFs");
}

void check_ari(const Host& host, Report& report) {
    // Without ARI a bus has 8 functions a device: VFs spread over several buses.
    constexpr unsigned kFunctionsOfDevice = 8;
    for (const auto& function : host.functions)
        if (function.sriov && function.sriov->ari == false &&
            function.sriov->total >= kFunctionsOfDevice)
            report.add(
                Finding::Level::note, function.address.str(),
                fmt::format("without ARI its {} VFs need more bus numbers", function.sriov->total),
                "turn ARI on in the firmware settings, or use a slot whose port has it; "
                "nothing has to be done as long as VFs can be created");
    report_hidden(host, report);
    if (report.empty()) report.pass("no card needs ARI and lacks it");
}

void check_reset(const Host& host, Report& report) {
    unsigned vfs = 0;
    for (const auto& function : host.functions) {
        if (!function.is_vf()) continue;
        ++vfs;
        if (function.reset_method.empty())
            report.add(Finding::Level::warn, function.address.str(),
                       "the kernel knows no way to reset it",
                       "a pool takes it only with reset = \"if-available\"");
    }
    if (report.empty())
        report.pass(vfs == 0 ? "there are no VFs yet that could be reset"
                             : fmt::format("all of {} VFs can be reset", vfs));
}

void check_kernel_messages(const Host& host, Report& report) {
    for (auto& complaint : kernel_complaints(host.kernel_log.value_or(std::vector<std::string>{})))
        report.add(complaint.level, complaint.subject, complaint.text, complaint.hint);
    if (report.empty())
        report.pass("the kernel complains of no lack of memory or bus numbers for functions");
}

}  // namespace vfb::doctor
