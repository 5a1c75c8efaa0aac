// SPDX-License-Identifier: GPL-2.0-or-later
//
// Memory of a guest with a VFIO device is locked, all of it: RLIMIT_MEMLOCK must allow that.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <ranges>

#include "base/size.hpp"
#include "checks.hpp"
#include "guests.hpp"

namespace vfb::doctor {
namespace {

// Services that set the limit for each guest themselves.
constexpr std::array<std::string_view, 4> kSelfSetting{"libvirtd.service", "virtqemud.service",
                                                       "incus.service", "lxd.service"};
// Those whose guests run as their children and inherit it.
constexpr std::array<std::string_view, 5> kUnits{"docker.service", "containerd.service",
                                                 "crio.service", "k3s.service", "user@.service"};
// The least that can be of use: a small guest and the room that vfbroker allows beside it.
constexpr std::uint64_t kEnough = std::uint64_t{2} << 30;

// The unit's file and what was added to it, in the order in which systemd reads them; empty: it is
// not installed.
std::string read_unit(const SysRoot& root, std::string_view unit) {
    std::string all;
    for (const char* folder : {"/etc/systemd/system", "/run/systemd/system",
                               "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"}) {
        const auto dir = root.folder(folder);
        if (!dir) continue;
        if (const auto text = dir->read(std::string(unit))) {
            all += *text + "\n";
            break;
        }
    }
    if (all.empty()) return all;
    for (const char* folder :
         {"/usr/lib/systemd/system", "/run/systemd/system", "/etc/systemd/system"}) {
        const auto dir = root.folder(fmt::format("{}/{}.d", folder, unit));
        if (!dir) continue;
        const auto names = dir->list();
        if (!names) continue;
        for (const auto& name : *names)
            if (name.ends_with(".conf")) all += dir->read(name).value_or("") + "\n";
    }
    return all;
}

// `64M`, `infinity`, `8388608:16777216`; nullopt: infinity.
std::optional<std::uint64_t> limit_of(std::string_view value) {
    value = value.substr(0, value.find(':'));
    if (value == "infinity") return std::nullopt;
    return parse_size(value, 1);
}

// Whether the process may lock as much as it likes (CAP_IPC_LOCK).
bool ignores_limit(const Dir& proc, pid_t pid) {
    constexpr int kIpcLock = 14;
    const auto status = proc.read(std::to_string(pid) + "/status");
    if (!status) return false;
    constexpr std::string_view kName = "CapEff:\t";
    const auto at = status->find(kName);
    if (at == std::string::npos) return false;
    const auto value = parse_number("0x" + status->substr(at + kName.size(), 16));
    return value && (*value >> kIpcLock & 1) != 0;
}

}  // namespace

std::optional<std::string> unit_setting(const std::string& unit, const std::string& name) {
    std::optional<std::string> value;
    bool service = false;
    for (const auto part : unit | std::views::split('\n')) {
        const std::string_view line(part);
        if (line.starts_with('[')) service = line.starts_with("[Service]");
        if (!service || !line.starts_with(name)) continue;
        const auto rest = line.substr(name.size());
        const auto equals = rest.find_first_not_of(' ');
        if (equals == std::string_view::npos || rest[equals] != '=') continue;
        const auto begin = rest.find_first_not_of(' ', equals + 1);
        value = begin == std::string_view::npos ? "" : std::string(rest.substr(begin));
    }
    return value;
}

void check_memlock_units(const Host& host, Report& report) {
    std::vector<std::string> good;
    for (const auto unit : kSelfSetting)
        if (!read_unit(host.root, unit).empty()) good.push_back(fmt::format("{} (sets it)", unit));
    for (const auto unit : kUnits) {
        const auto text = read_unit(host.root, unit);
        if (text.empty()) continue;
        const auto setting = unit_setting(text, "LimitMEMLOCK");
        // What systemd gives to units that say nothing; it comes with every system's user sessions.
        if (!setting && unit == "user@.service") continue;
        const auto limit = setting ? limit_of(*setting) : std::uint64_t{8} << 20;
        if (limit && *limit < kEnough)
            report.add(Finding::Level::note, std::string(unit),
                       fmt::format("guests that it starts may lock {} of memory{}",
                                   readable_size(*limit), setting ? "" : ", systemd's default"),
                       fmt::format("vfbroker run and lease raise the limit of whoever asks; for "
                                   "guests that others start: systemctl edit {}, with "
                                   "LimitMEMLOCK=infinity",
                                   unit));
        else
            good.emplace_back(unit);
    }
    if (!good.empty())
        report.pass(fmt::format("{} allow enough locked memory", fmt::join(good, ", ")));
    if (report.empty())
        report.pass("no service that would bound the memory of guests is installed");
}

void check_memlock_guests(const Host& host, Report& report) {
    unsigned guests = 0;
    for (const auto& process : host.processes) {
        if (!runs_guests(process.name) || !has_vfio_device(process.arguments)) continue;
        const auto memory = guest_memory(process.arguments);
        const auto limits = host.root.proc().read(std::to_string(process.pid) + "/limits");
        if (!memory || !limits) continue;
        ++guests;
        const auto limit = locked_memory_limit(*limits);
        if (!limit || *limit >= *memory || ignores_limit(host.root.proc(), process.pid)) continue;
        report.add(Finding::Level::warn, fmt::format("pid {}", process.pid),
                   fmt::format("{} runs a guest of {} with a VFIO device, and may lock {} only",
                               process.name, readable_size(*memory), readable_size(*limit)),
                   "start it by vfbroker run with --memlock, the guest's memory and 1 GiB");
    }
    if (report.empty())
        report.pass(guests == 0 ? "no guest with a VFIO device runs"
                                : fmt::format("all of {} guests with VFIO devices may lock their "
                                              "memory",
                                              guests));
}

}  // namespace vfb::doctor
