// SPDX-License-Identifier: GPL-2.0-or-later
//
// Each check of doctor, on a host that is as it should be and on ones that are not.
#include <gmock/gmock.h>

#include <set>

#include "machine.hpp"

namespace vfb::doctor::test {
namespace {

using Level = Finding::Level;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

auto is(Level level, const std::string& text) {
    return AllOf(Field(&Finding::level, level), Field(&Finding::text, HasSubstr(text)));
}

TEST(Doctor, AHostAsItShouldBePassesEveryCheck) {
    const Machine machine;
    const auto findings = diagnose(machine.host);
    EXPECT_THAT(findings, SizeIs(25));
    EXPECT_EQ(findings[0].check, "configuration");
    EXPECT_THAT(findings, Each(AllOf(Field(&Finding::level, Level::pass), Field(&Finding::hint, ""),
                                     Field(&Finding::subject, "host"),
                                     Field(&Finding::text, Not(IsEmpty())))));
    std::set<std::string> names;
    for (const auto& finding : findings) names.insert(finding.check);
    EXPECT_THAT(names, SizeIs(findings.size()));
}

TEST(Doctor, WhateverIsWrongHasAHint) {
    Machine machine;
    machine.host.daemon = nullptr;
    machine.host.platform = {.unsafe_interrupts_type1 = true};
    machine.host.groups.clear();
    machine.host.support = {};
    machine.host.functions.clear();
    machine.host.unread.emplace("kernel-messages", Error{.operation = "read the log"});
    for (const char* name : {"sys/firmware", "sys/bus", "usr"}) machine.remove(name);
    unsigned wrong = 0;
    for (const auto& finding : diagnose(machine.host)) {
        if (finding.level == Level::pass) continue;
        ++wrong;
        EXPECT_FALSE(finding.hint.empty()) << finding.check;
    }
    EXPECT_GE(wrong, 12U);
}

TEST(Doctor, FirmwareTables) {
    Machine machine;
    EXPECT_THAT(machine.one("firmware-tables"), is(Level::pass, "VT-d, table DMAR"));
    machine.remove("sys/firmware/acpi/tables/DMAR");
    EXPECT_THAT(machine.one("firmware-tables"), is(Level::pass, "the kernel found one"));
    machine.host.platform.present = false;
    machine.write("proc/cpuinfo", "vendor_id : GenuineIntel");
    EXPECT_THAT(machine.one("firmware-tables"), is(Level::fail, "shows no IOMMU"));
    EXPECT_THAT(machine.one("firmware-tables").hint, HasSubstr("turn VT-d on"));
    machine.write("sys/firmware/acpi/tables/IVRS", "");
    EXPECT_THAT(machine.one("firmware-tables"), is(Level::pass, "AMD-Vi"));
    machine.remove("sys/firmware");
    EXPECT_THAT(machine.one("firmware-tables"), is(Level::note, "no tables"));
}

TEST(Doctor, Iommu) {
    Machine machine;
    machine.host.platform.present = false;
    EXPECT_THAT(machine.one("iommu"), is(Level::fail, "uses no IOMMU"));
    EXPECT_THAT(machine.one("iommu").hint, HasSubstr("intel_iommu=on"));
    machine.vf().group.reset();
    EXPECT_THAT(machine.one("iommu-groups"), is(Level::warn, "no IOMMU covers 0000:01:10.0"));
    for (auto& group : machine.host.groups) group.noiommu = true;
    EXPECT_THAT(machine.one("iommu-groups"), is(Level::fail, "no IOMMU groups"));
}

TEST(Doctor, InterruptsAndUnsafeOptions) {
    Machine machine;
    machine.host.platform.interrupt_remapping = false;
    EXPECT_THAT(machine.one("interrupt-remapping"), is(Level::fail, "not remapped"));
    machine.host.platform.unsafe_interrupts_type1 = true;
    EXPECT_THAT(machine.one("interrupt-remapping"), is(Level::warn, "has accepted"));
    machine.host.platform.noiommu_enabled = true;
    EXPECT_THAT(machine.of("unsafe-options"),
                ElementsAre(is(Level::warn, "vfio_iommu_type1.allow_unsafe_interrupts"),
                            is(Level::warn, "vfio.enable_unsafe_noiommu_mode")));
    machine.host.platform.interrupt_remapping.reset();
    EXPECT_THAT(machine.one("interrupt-remapping"), is(Level::note, "cannot be told"));
}

TEST(Doctor, Vfio) {
    Machine machine;
    machine.remove("sys/bus/pci/drivers/vfio-pci");
    EXPECT_THAT(machine.one("modules"), is(Level::fail, "vfio-pci is not there"));
    machine.host.support = {.group = true, .iommufd_reason = "no CONFIG_VFIO_DEVICE_CDEV"};
    EXPECT_THAT(machine.one("backend"), is(Level::note, "no CONFIG_VFIO_DEVICE_CDEV"));
    machine.host.support.group = false;
    EXPECT_THAT(machine.one("backend").level, Level::fail);
}

TEST(Doctor, Lockdown) {
    Machine machine;
    machine.write("sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
    EXPECT_THAT(machine.one("lockdown"), is(Level::pass, "not locked down"));
    machine.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
    EXPECT_THAT(machine.one("lockdown"), is(Level::note, "(integrity)"));
}

TEST(Doctor, CardsThatCanHaveNoVfs) {
    Machine machine;
    EXPECT_THAT(machine.one("sriov"), is(Level::pass, "0000:01:00.0 can have 7 VFs"));
    machine.pf().sriov->total = 0;
    EXPECT_THAT(machine.one("sriov"), is(Level::fail, "allows no VFs"));
    EXPECT_EQ(machine.one("sriov").subject, "0000:01:00.0");
    const std::vector<std::pair<std::uint16_t, std::string>> makers{
        {0x15b3, "mlxconfig -d 0000:01:00.0 set SRIOV_EN=1 NUM_OF_VFS"},
        {0x8086, "NVM"},
        {0x14e4, "niccli"},
        {0x1077, "qaucli"},
        {0x1924, "sfboot"},
        {0x1d0f, "firmware setup (HII)"}};
    for (const auto& [vendor, says] : makers) {
        machine.pf().vendor = vendor;
        EXPECT_THAT(machine.one("sriov").hint, HasSubstr(says));
    }
    // A ConnectX with SRIOV_EN=0 has not even the capability.
    machine.pf().vendor = 0x15b3;
    machine.pf().device_name = "ConnectX-6";
    machine.pf().sriov.reset();
    EXPECT_THAT(machine.one("sriov"), is(Level::warn, "ConnectX-6 shows no SR-IOV"));
    machine.host.functions.clear();
    EXPECT_THAT(machine.one("sriov"), is(Level::fail, "no function of this machine"));
}

TEST(Doctor, RoomForVfs) {
    Machine machine;
    machine.pf().sriov->vf_bars[0].address = 0;
    EXPECT_THAT(machine.one("vf-bars"), is(Level::fail, "BAR 0 of its VFs (112 KiB)"));
    EXPECT_THAT(machine.one("vf-bars").hint, HasSubstr("pci=realloc"));
    machine.pf().sriov->ari = false;
    EXPECT_THAT(machine.one("ari").level, Level::pass);  // 7 fit behind the function itself
    machine.pf().sriov->total = 64;
    EXPECT_THAT(machine.one("ari"), is(Level::note, "64 VFs"));
    machine.pf().sriov = pci::SrIov{.total = 7};
    for (const char* check : {"vf-bars", "ari"})
        EXPECT_THAT(machine.one(check), is(Level::note, "cannot be read beyond 64 bytes"));
}

TEST(Doctor, Resets) {
    Machine machine;
    EXPECT_THAT(machine.one("reset"), is(Level::pass, "all of 1 VFs"));
    machine.vf().reset_method = {};
    EXPECT_THAT(machine.one("reset"), is(Level::warn, "no way to reset it"));
    machine.host.functions.pop_back();
    EXPECT_THAT(machine.one("reset"), is(Level::pass, "no VFs yet"));
}

TEST(Doctor, KernelMessages) {
    Machine machine;
    machine.host.kernel_log = {"igb 0000:01:00.0: not enough MMIO resources for SR-IOV"};
    EXPECT_THAT(machine.one("kernel-messages"), is(Level::fail, "no room in memory"));
    EXPECT_EQ(machine.one("kernel-messages").subject, "0000:01:00.0");
    machine.host.kernel_log.reset();
    machine.host.unread.emplace("kernel-messages",
                                Error{.operation = "read the log", .hint = "root reads it"});
    EXPECT_THAT(machine.one("kernel-messages"), is(Level::note, "cannot read the log"));
    EXPECT_EQ(machine.one("kernel-messages").hint, "root reads it");
}

TEST(Doctor, UnitsThatBoundLockedMemory) {
    Machine machine;
    machine.write("usr/lib/systemd/system/docker.service", "[Service]\nLimitMEMLOCK=64M\n");
    EXPECT_THAT(machine.one("memlock-units"), is(Level::note, "64 MiB"));
    EXPECT_EQ(machine.one("memlock-units").subject, "docker.service");
    machine.write("etc/systemd/system/docker.service.d/more.conf",
                  "[Service]\nLimitMEMLOCK=infinity\n");
    EXPECT_THAT(machine.one("memlock-units"), is(Level::pass, "docker.service"));
    machine.write("usr/lib/systemd/system/libvirtd.service", "[Service]\nType=notify\n");
    EXPECT_THAT(machine.one("memlock-units"), is(Level::pass, "libvirtd.service (sets it)"));
    machine.write("usr/lib/systemd/system/containerd.service", "[Service]\nType=notify\n");
    EXPECT_THAT(machine.of("memlock-units"), ElementsAre(is(Level::note, "systemd's default"),
                                                         is(Level::pass, "docker.service")));
}

TEST(Doctor, GuestsThatMayNotLockTheirMemory) {
    Machine machine;
    machine.add_process(77, "qemu-system-x86",
                        {"qemu-system-x86_64", "-m", "4G", "-device", "vfio-pci,host=01:10.0"});
    machine.write("proc/77/limits", "Max locked memory         8388608    8388608    bytes\n");
    machine.write("proc/77/status", "Name:\tqemu\nCapEff:\t0000000000000000\n");
    EXPECT_THAT(machine.one("memlock-guests"),
                is(Level::warn, "a guest of 4 GiB with a VFIO device, and may lock 8 MiB"));
    EXPECT_EQ(machine.one("memlock-guests").subject, "pid 77");
    // CAP_IPC_LOCK
    machine.write("proc/77/status", "Name:\tqemu\nCapEff:\t0000000000004000\n");
    EXPECT_THAT(machine.one("memlock-guests"), is(Level::pass, "all of 1 guests"));
    machine.write("proc/77/status", "Name:\tqemu\nCapEff:\t0000000000000000\n");
    machine.write("proc/77/limits", "Max locked memory         unlimited  unlimited  bytes\n");
    EXPECT_THAT(machine.one("memlock-guests").level, Level::pass);
    machine.host.processes[0].arguments = {"qemu-system-x86_64", "-m", "4G"};
    EXPECT_THAT(machine.one("memlock-guests"), is(Level::pass, "no guest"));
}

TEST(Doctor, NetworkManager) {
    Machine machine;
    machine.add_process(50, "NetworkManager");
    EXPECT_THAT(machine.one("network-manager"), is(Level::pass, "no VFs"));
    machine.vf().netdevs = {{.name = "eth4", .ifindex = 9}};
    EXPECT_THAT(machine.one("network-manager"), is(Level::note, "may set up the VFs eth4"));
    machine.write("run/NetworkManager/devices/9", "[device]\nmanaged=true\n");
    EXPECT_THAT(machine.one("network-manager"), is(Level::warn, "sets up the idle VFs eth4"));
    machine.write("run/udev/data/n9", "E:NM_UNMANAGED=1\n");
    EXPECT_THAT(machine.one("network-manager").level, Level::pass);
    machine.host.processes.clear();
    EXPECT_THAT(machine.one("network-manager"), is(Level::pass, "does not run"));
}

TEST(Doctor, Libvirt) {
    Machine machine;
    const std::string domain =
        "<domain><devices><hostdev mode='subsystem' type='pci' managed='yes'><source>"
        "<address domain='0x0000' bus='0x01' slot='0x10' function='0x0'/></source></hostdev>";
    machine.write("etc/libvirt/qemu/web.xml", domain);
    EXPECT_THAT(machine.one("libvirt"), is(Level::warn, "libvirt's domain web"));
    EXPECT_EQ(machine.one("libvirt").subject, "0000:01:10.0");
    machine.remove("etc/libvirt");
    machine.pf().netdevs = {{.name = "eth0"}};
    machine.write("etc/libvirt/qemu/networks/vfs.xml",
                  "<network><forward mode='hostdev' managed='yes'><pf dev='eth0'/></forward>");
    EXPECT_THAT(machine.one("libvirt"), is(Level::warn, "network vfs gives out the VFs of eth0"));
    // Those of others are theirs.
    machine.daemon.pfs.clear();
    EXPECT_THAT(machine.one("libvirt").level, Level::pass);
}

TEST(Doctor, Driverctl) {
    Machine machine;
    machine.write("etc/driverctl.d/pci-0000:01:10.0", "igbvf\n");
    machine.write("etc/driverctl.d/0000:09:00.0", "nvme\n");
    EXPECT_THAT(machine.one("driverctl"), is(Level::warn, "binds it to igbvf"));
    EXPECT_THAT(machine.one("driverctl").hint, HasSubstr("unset-override 0000:01:10.0"));
}

TEST(Doctor, IdsOfVfioPci) {
    Machine machine;
    machine.write("proc/cmdline", "quiet vfio-pci.ids=8086:10ca,10de:2204 root=/dev/vda");
    EXPECT_THAT(machine.one("vfio-pci-ids"),
                is(Level::warn, "8086:10ca,10de:2204 at boot, among them 0000:01:10.0"));
    machine.write("proc/cmdline", "quiet vfio-pci.ids=10de:2204");
    EXPECT_THAT(machine.one("vfio-pci-ids"), is(Level::note, "10de:2204"));
    machine.write("proc/cmdline", "quiet");
    machine.write("etc/modprobe.d/gpu.conf",
                  "# options vfio-pci ids=1:2\noptions vfio_pci disable_vga=1 ids=8086:10ca\n");
    EXPECT_THAT(machine.one("vfio-pci-ids"), is(Level::warn, "8086:10ca at boot"));
    EXPECT_THAT(machine.one("vfio-pci-ids").subject, HasSubstr("/etc/modprobe.d/gpu.conf"));
}

TEST(Doctor, KubernetesOperator) {
    Machine machine;
    machine.add_process(60, "sriov-network-c");
    EXPECT_THAT(machine.one("sriov-operator"), is(Level::warn, "operator's config daemon"));
    EXPECT_EQ(machine.one("sriov-operator").subject, "pid 60");
}

TEST(Doctor, WithoutADaemon) {
    Machine machine;
    machine.host.daemon = nullptr;
    EXPECT_THAT(machine.one("daemon"), is(Level::fail, "does not run"));
    EXPECT_THAT(machine.one("daemon").hint, HasSubstr("systemctl enable --now"));
    EXPECT_THAT(machine.one("functions").level, Level::note);
    EXPECT_THAT(machine.one("drift").level, Level::note);
    EXPECT_THAT(machine.one("unit"), is(Level::pass, "installed"));
    machine.remove("usr/lib/systemd");
    EXPECT_THAT(machine.one("unit"), is(Level::note, "not installed"));
    EXPECT_THAT(machine.one("daemon").hint, HasSubstr("install its units"));
    // Everything that could be leased is looked at.
    machine.write("etc/driverctl.d/0000:01:10.0", "igbvf\n");
    EXPECT_THAT(machine.one("driverctl").level, Level::warn);
}

TEST(Doctor, AWrongConfiguration) {
    Machine machine;
    machine.daemon.config_faults = {
        {.place = "x.toml:4:1", .text = "unknown key 'num_vfs'", .hint = "did you mean 'vfs'?"},
        {.place = "y.toml", .text = "it is a folder", .hint = ""}};
    machine.daemon.config_in_force = "the last good one is in force";
    const auto findings = machine.of("configuration");
    EXPECT_THAT(findings, ElementsAre(is(Level::fail, "unknown key 'num_vfs'; the last good one"),
                                      is(Level::fail, "it is a folder; the last good one")));
    EXPECT_EQ(findings[0].subject, "x.toml:4:1");
    EXPECT_EQ(findings[0].hint, "did you mean 'vfs'?");
    EXPECT_THAT(findings[1].hint, HasSubstr("vfbroker reload"));
}

TEST(Doctor, FilesOfTheConfigurationThatNoDaemonHasRead) {
    Machine machine;
    machine.host.daemon = nullptr;
    EXPECT_THAT(machine.one("configuration"), is(Level::note, "nothing is configured"));
    machine.write("etc/vfbroker/vfbroker.toml", "[pf.u]\nslot = '1'\nvfs = 2\n");
    EXPECT_THAT(machine.one("configuration"), is(Level::pass, "files are right"));
    machine.write("etc/vfbroker/vfbroker.toml", "[pf.u]\nslot = '1'\nnum_vfs = 2\n");
    EXPECT_THAT(machine.one("configuration"), is(Level::fail, "unknown key 'num_vfs'"));
}

TEST(Doctor, FunctionsInTrouble) {
    Machine machine;
    EXPECT_THAT(machine.one("functions"), is(Level::pass, "1 clean"));
    machine.daemon.troubled = {
        {.subject = "0000:01:10.0", .state = "stuck", .problem = "no answer", .hint = "reboot"},
        {.subject = "0000:01:10.2", .state = "quarantined", .problem = "no reset"},
        {.subject = "0000:01:10.4", .state = "dirty", .problem = "open in pid 9"}};
    EXPECT_THAT(machine.of("functions"),
                ElementsAre(is(Level::fail, "it is stuck: no answer"),
                            is(Level::warn, "it is quarantined: no reset"),
                            is(Level::note, "it is dirty: open in pid 9")));
    EXPECT_EQ(machine.of("functions")[0].hint, "reboot");
    EXPECT_EQ(machine.of("functions")[1].hint, "vfbroker explain 0000:01:10.2");
}

TEST(Doctor, Drift) {
    Machine machine;
    machine.daemon.pfs[0].present = 0;
    EXPECT_THAT(machine.one("drift"), is(Level::warn, "has 0 VFs and should have 1"));
    machine.daemon.pfs[0].problem = "cannot create 1 VFs";
    machine.daemon.pfs[0].hint = "make room";
    EXPECT_THAT(machine.one("drift"), is(Level::warn, "cannot create 1 VFs"));
    EXPECT_EQ(machine.one("drift").hint, "make room");
    machine.daemon.pfs[0].state = "missing";
    EXPECT_THAT(machine.one("drift"), is(Level::fail, "PF uplink is missing"));
    machine.daemon.pfs[0].state = "applying";
    EXPECT_THAT(machine.one("drift").level, Level::note);
    machine.daemon.pfs.clear();
    EXPECT_THAT(machine.one("drift"), is(Level::pass, "names no PF"));
}

TEST(Doctor, DriftOfWhatThePlanFinds) {
    Machine machine;
    machine.daemon.differences = {
        {.subject = "uplink", .count = 3, .first = "uplink/0: vlan 0 -> 7"},
        {.subject = "uplink",
         .count = 1,
         .first = "uplink/1: changed under lease 2",
         .later = true}};
    EXPECT_THAT(machine.of("drift"),
                ElementsAre(is(Level::warn, "not as configured: uplink/0: vlan 0 -> 7, and 2 more"),
                            is(Level::note, "uplink/1: changed under lease 2")));
    // A PF that is wrong as a whole is named once.
    machine.daemon.pfs[0].present = 0;
    EXPECT_THAT(machine.one("drift"), is(Level::warn, "has 0 VFs and should have 1"));
    machine.daemon.pfs[0].present = 1;
    machine.daemon.differences.clear();
    machine.daemon.no_plan = "cannot read the configuration";
    machine.daemon.no_plan_hint = "mend it";
    EXPECT_THAT(machine.one("drift"), is(Level::fail, "cannot read the configuration"));
}

TEST(Doctor, TheUnitsConfinement) {
    Machine machine;
    machine.write("proc/900/status",
                  "Name:\tvfbrokerd\nCapBnd:\t000001ffffffffff\nNoNewPrivs:\t0\nSeccomp:\t0\n");
    EXPECT_THAT(machine.one("unit"),
                is(Level::warn, "(NoNewPrivileges, SystemCallFilter, CapabilityBoundingSet)"));
    machine.remove("proc/900");
    EXPECT_THAT(machine.one("unit"), is(Level::note, "cannot be read"));
}

TEST(Doctor, WhatCouldNotBeReadIsANote) {
    Machine machine;
    machine.host.unread.emplace("sriov", Error{.operation = "read all functions"});
    for (const char* check : {"sriov", "vf-bars", "reset", "libvirt"})
        EXPECT_THAT(machine.one(check), is(Level::note, "cannot read all functions"));
    EXPECT_THAT(machine.one("iommu").level, Level::pass);
}

TEST(Doctor, ReadsATree) {
    const Machine machine;
    machine.write("dev/kmsg",
                  "6,1,100,-;Linux version 6.12\n"
                  "4,2,200,-;igb 0000:01:00.0: not enough MMIO resources for SR-IOV\n"
                  " SUBSYSTEM=pci\n");
    machine.write("proc/12/comm", "qemu-system-x86\n");
    machine.write("proc/12/cmdline", std::string("qemu\0-m\0"
                                                 "1G\0",
                                                 11));
    machine.write("sys/bus/pci/devices/.keep", "");
    const Host host = read_host(machine.host.root, nullptr);
    EXPECT_THAT(host.kernel_log.value(),
                ElementsAre("Linux version 6.12",
                            "igb 0000:01:00.0: not enough MMIO resources for SR-IOV"));
    ASSERT_THAT(host.processes, Not(IsEmpty()));
    EXPECT_THAT(host.processes[0].arguments, ElementsAre("qemu", "-m", "1G"));
    EXPECT_FALSE(diagnose(host).empty());
}

}  // namespace
}  // namespace vfb::doctor::test
