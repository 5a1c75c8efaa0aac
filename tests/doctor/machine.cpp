// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine.hpp"

#include <gtest/gtest.h>

#include <filesystem>

namespace vfb::doctor::test {
namespace {

SysRoot make_root(const std::string& path) {
    for (const char* name : {"sys", "dev", "proc"})
        std::filesystem::create_directory(path + "/" + name);
    return SysRoot::at(path).value();
}

// As the unit confines it.
constexpr auto kConfined =
    "Name:\tvfbrokerd\nCapBnd:\t0000000401283005\nNoNewPrivs:\t1\nSeccomp:\t2\n";

}  // namespace

pci::Address at(const std::string& text) {
    return pci::Address::parse(text).value();
}

Machine::Machine()
    : folder_(tree::TemporaryFolder::create().value()),
      root_(make_root(folder_.path())),
      host{.root = root_} {
    write("sys/firmware/acpi/tables/DMAR", "");
    write("sys/bus/pci/drivers/vfio-pci/bind", "");
    write("usr/lib/systemd/system/vfbrokerd.service", "[Service]\n");
    write("proc/900/status", kConfined);
    write("proc/cmdline", "root=/dev/vda quiet");
    daemon.pid = 900;
    daemon.version = "1.0";
    daemon.pfs = {{.name = "uplink",
                   .address = at("0000:01:00.0"),
                   .state = "ready",
                   .wanted = 1,
                   .present = 1}};
    daemon.counts = {{"clean", 1}};
    host.daemon = &daemon;
    host.platform = {.present = true, .kind = "intel", .groups = true, .interrupt_remapping = true};
    host.groups = {{.number = 1}, {.number = 2}};
    host.support = {.iommufd = true, .group = true};
    host.kernel_log.emplace();
    pci::Function card;
    card.address = at("0000:01:00.0");
    card.vendor = 0x8086;
    card.device = 0x10c9;
    card.class_code = 0x020000;
    card.group = 1;
    card.sriov = pci::SrIov{.total = 7, .enabled = 1, .initial = 7, .ari = true};
    card.sriov->vf_bars = {{.address = 0xfe000000, .size = 16384}};
    pci::Function vf;
    vf.address = at("0000:01:10.0");
    vf.vendor = 0x8086;
    vf.device = 0x10ca;
    vf.class_code = 0x020000;
    vf.group = 2;
    vf.physfn = card.address;
    vf.vf_index = 0;
    vf.reset_method = "flr";
    host.functions = {card, vf};
}

void Machine::write(const std::string& name, const std::string& text) const {
    const auto written = tree::write_file(folder_.path() + "/" + name, text);
    EXPECT_TRUE(written) << written.error().message();
}

void Machine::remove(const std::string& name) const {
    std::filesystem::remove_all(folder_.path() + "/" + name);
}

void Machine::add_process(pid_t pid, const std::string& name, std::vector<std::string> arguments) {
    host.processes.push_back({.pid = pid, .name = name, .arguments = std::move(arguments)});
}

std::vector<Finding> Machine::of(const std::string& check) const {
    std::vector<Finding> found;
    for (auto& finding : diagnose(host))
        if (finding.check == check) found.push_back(std::move(finding));
    return found;
}

Finding Machine::one(const std::string& check) const {
    const auto found = of(check);
    EXPECT_EQ(found.size(), 1U) << check;
    return found.empty() ? Finding{} : found.front();
}

}  // namespace vfb::doctor::test
