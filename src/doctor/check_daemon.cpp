// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbrokerd itself: whether it runs, what it is in trouble with, and how it is confined.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cerrno>
#include <set>

#include "broker/config.hpp"
#include "checks.hpp"

namespace vfb::doctor {
namespace {

bool is_installed(const SysRoot& root) {
    for (const char* folder : {"/etc/systemd/system", "/run/systemd/system",
                               "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"})
        if (const auto dir = root.folder(folder); dir && dir->exists("vfbrokerd.service"))
            return true;
    return false;
}

// `Seccomp:\t2` of proc_pid_status(5).
std::string status_field(const std::string& status, std::string_view name) {
    const auto key = fmt::format("\n{}:\t", name);
    const auto at = status.find(key);
    if (at == std::string::npos) return {};
    const auto begin = at + key.size();
    return status.substr(begin, status.find('\n', begin) - begin);
}

Finding::Level level_of(const std::string& state) {
    if (state == "stuck") return Finding::Level::fail;
    return state == "quarantined" ? Finding::Level::warn : Finding::Level::note;
}

}  // namespace

void check_daemon(const Host& host, Report& report) {
    if (host.daemon == nullptr)
        return report.fail("vfbrokerd does not run: nothing can be leased",
                           is_installed(host.root) ? "systemctl enable --now vfbrokerd.socket "
                                                     "vfbrokerd.service"
                                                   : "install its units, or start vfbrokerd");
    report.pass(fmt::format("vfbrokerd {} runs (pid {})", host.daemon->version, host.daemon->pid));
}

namespace {

// Where no daemon has read them.
void check_files(const Host& host, Report& report) {
    const auto folder = host.root.folder(broker::kConfigDirectory);
    if (!folder && folder.error().errnum == ENOENT)
        return report.note(
            fmt::format("there is no {}: nothing is configured", broker::kConfigDirectory),
            "see vfbroker.toml(5)");
    if (!folder) return report.note(folder.error().message(), "root can read it");
    for (const auto& problem : broker::check_config(folder->path()).problems)
        report.add(Finding::Level::fail, problem.where.str(), problem.text,
                   problem.hint.empty() ? "correct it, then vfbroker check" : problem.hint);
    if (report.empty()) report.pass("its files are right");
}

}  // namespace

void check_configuration(const Host& host, Report& report) {
    if (host.daemon == nullptr) return check_files(host, report);
    for (const auto& fault : host.daemon->config_faults)
        report.add(Finding::Level::fail, fault.place,
                   fmt::format("{}; {}", fault.text, host.daemon->config_in_force),
                   fault.hint.empty() ? "correct it, then vfbroker reload" : fault.hint);
    if (host.daemon->config_faults.empty()) report.pass("its files are in force");
}

void check_functions(const Host& host, Report& report) {
    if (host.daemon == nullptr)
        return report.note("what is leased, quarantined or stuck only a running vfbrokerd knows",
                           "systemctl start vfbrokerd, then once more");
    for (const auto& slot : host.daemon->troubled)
        report.add(
            level_of(slot.state), slot.subject,
            fmt::format("it is {}: {}", slot.state, slot.problem),
            slot.hint.empty() ? fmt::format("vfbroker explain {}", slot.subject) : slot.hint);
    if (!report.empty()) return;
    std::vector<std::string> counts;
    for (const auto& [state, count] : host.daemon->counts)
        counts.push_back(fmt::format("{} {}", count, state));
    report.pass(counts.empty() ? "no pool has functions"
                               : fmt::format("functions in pools: {}", fmt::join(counts, ", ")));
}

namespace {

// What is wrong with a PF as a whole.
void check_pfs(const Host& host, Report& report, std::set<std::string>& named) {
    for (const auto& pf : host.daemon->pfs) {
        const std::string subject = pf.address ? pf.address->str() : pf.name;
        const bool fewer = pf.present < pf.wanted;
        if (pf.state != "ready" || !pf.problem.empty() || fewer) named.insert(pf.name);
        if (pf.state == "applying")
            report.add(Finding::Level::note, subject, "its VFs are being created",
                       "vfbroker status shows when that is done");
        else if (pf.state != "ready")
            report.add(Finding::Level::fail, subject,
                       fmt::format("PF {} is {}: {}", pf.name, pf.state, pf.problem),
                       pf.hint.empty() ? "vfbroker reload (as root) tries again" : pf.hint);
        else if (!pf.problem.empty() || fewer)
            report.add(Finding::Level::warn, subject,
                       pf.problem.empty() ? fmt::format("PF {} has {} VFs and should have {}",
                                                        pf.name, pf.present, pf.wanted)
                                          : pf.problem,
                       pf.hint.empty() ? "vfbroker reload (as root) tries again" : pf.hint);
    }
}

void check_differences(const Host& host, Report& report, const std::set<std::string>& named) {
    for (const auto& difference : host.daemon->differences) {
        if (named.contains(difference.subject)) continue;
        const auto text = difference.count == 1 ? difference.first
                                                : fmt::format("{}, and {} more", difference.first,
                                                              difference.count - 1);
        report.add(difference.later ? Finding::Level::note : Finding::Level::warn,
                   difference.subject, (difference.later ? "" : "not as configured: ") + text,
                   difference.later ? "vfbroker plan lists what waits for leases to end"
                                    : "vfbroker plan lists all; vfbroker apply brings it about");
    }
}

}  // namespace

// What the configuration wants and the machine has not.
void check_drift(const Host& host, Report& report) {
    if (host.daemon == nullptr)
        return report.note("whether the machine is as configured only a running vfbrokerd knows",
                           "systemctl start vfbrokerd, then once more");
    std::set<std::string> named;
    check_pfs(host, report, named);
    if (host.daemon->no_plan.empty())
        check_differences(host, report, named);
    else
        report.add(Finding::Level::fail, "configuration", host.daemon->no_plan,
                   host.daemon->no_plan_hint);
    if (report.empty())
        report.pass(host.daemon->pfs.empty() ? "the configuration names no PF"
                                             : "the machine is as configured");
}

void check_unit(const Host& host, Report& report) {
    if (host.daemon == nullptr) {
        if (is_installed(host.root)) return report.pass("vfbrokerd.service is installed");
        return report.note("vfbrokerd.service is not installed",
                           "cmake --install puts it where systemd finds it");
    }
    const auto status =
        host.root.proc().read(std::to_string(host.daemon->pid) + "/status").value_or("");
    if (status.empty())
        return report.note("how vfbrokerd is confined cannot be read", "root can read it");
    std::vector<std::string> missing;
    if (status_field(status, "NoNewPrivs") != "1") missing.emplace_back("NoNewPrivileges");
    if (status_field(status, "Seccomp") != "2") missing.emplace_back("SystemCallFilter");
    // SYS_MODULE (16) and SYS_RAWIO (17) are in no set that it could need.
    const auto bounds = parse_number("0x" + status_field(status, "CapBnd")).value_or(-1);
    if ((bounds >> 16 & 3) != 0) missing.emplace_back("CapabilityBoundingSet");
    if (missing.empty()) return report.pass("vfbrokerd is confined as its unit has it");
    report.warn(fmt::format("vfbrokerd runs without the confinement of its unit ({})",
                            fmt::join(missing, ", ")),
                "start it by systemctl start vfbrokerd; systemd-analyze security vfbrokerd shows "
                "what it has");
}

}  // namespace vfb::doctor
