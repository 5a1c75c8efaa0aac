// SPDX-License-Identifier: GPL-2.0-or-later
//
// What checks are made of: messages of the kernel, command lines, units, XML.
#include <gmock/gmock.h>

#include "doctor/doctor.hpp"

namespace vfb::doctor {
namespace {

using Level = Finding::Level;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Finding only(const std::vector<std::string>& messages) {
    const auto found = kernel_complaints(messages);
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? Finding{} : found.front();
}

TEST(KernelComplaints, OfMissingRoomAndBusNumbers) {
    const auto memory = only({"igb 0000:01:00.0: not enough MMIO resources for SR-IOV",
                              "igb 0000:01:00.0: not enough MMIO resources for SR-IOV"});
    EXPECT_EQ(memory.subject, "0000:01:00.0");
    EXPECT_EQ(memory.level, Level::fail);
    EXPECT_THAT(memory.hint, HasSubstr("above 4G decoding"));
    const auto older = only({"igb 0000:01:00.0: SR-IOV: bus number out of range"});
    EXPECT_THAT(older.hint, HasSubstr("pci=assign-busses"));
    const auto newer =
        only({"igb 0000:01:00.0: can't enable 7 VFs (bus 05 out of range of [bus 01-04])"});
    EXPECT_THAT(newer.hint, HasSubstr("pci=assign-busses"));
}

TEST(KernelComplaints, OfWindowsWithoutAnAddress) {
    // Linux before 6.9, and since; BARs from 7 on are those of VFs.
    const auto vfs = only({"pci 0000:01:00.0: BAR 7: no space for [mem size 0x00040000 64bit]",
                           "pci 0000:01:00.0: BAR 7: failed to assign [mem size 0x00040000]"});
    EXPECT_EQ(vfs.level, Level::fail);
    EXPECT_EQ(vfs.text, "there was no room in memory for its VFs' BAR 0");
    EXPECT_THAT(only({"pci 0000:01:00.0: VF BAR 3 [mem size 0x1000]: can't assign; no space"}).text,
                HasSubstr("VFs' BAR 3"));
    const auto own = only({"pci 0000:01:00.0: BAR 2 [mem size 0x1000]: can't assign; no space"});
    EXPECT_EQ(own.level, Level::warn);
    EXPECT_THAT(own.text, HasSubstr("its BAR 2"));
}

TEST(KernelComplaints, WhatWasMendedIsNone) {
    EXPECT_THAT(
        kernel_complaints({"pci 0000:01:00.0: BAR 7: no space for [mem size 0x40000 64bit]",
                           "pci 0000:01:00.0: BAR 7: assigned [mem 0xfe000000-0xfe03ffff 64bit]"}),
        IsEmpty());
    EXPECT_THAT(
        kernel_complaints({"pci 0000:01:00.0: VF BAR 0 [mem size 0x1000]: can't assign; no space",
                           "pci 0000:01:00.0: VF BAR 0 [mem 0xfe000000-0xfe000fff]: assigned"}),
        IsEmpty());
}

TEST(KernelComplaints, WhatNobodyNeedsIsNone) {
    EXPECT_THAT(kernel_complaints(
                    {"pci 0000:00:02.0: bridge window [mem size 0x100000]: can't assign; no "
                     "space",
                     "pci 0000:00:02.0: BAR 13: no space for [io size 0x1000]",
                     "pci 0000:00:02.0: BAR 14: no space for [mem size 0x100000]",
                     "pci 0000:01:00.0: BAR 6: no space for [mem size 0x20000 pref]",
                     "pci 0000:01:00.0: BAR 2: no space for [io size 0x0020]",
                     "EXT4-fs error: no space", "", "a: b", "pci : BAR", "x BAR 99999999999: "}),
                IsEmpty());
}

TEST(KernelComplaints, OfReservedMemoryAndOfUs) {
    EXPECT_THAT(only({"vfio-pci 0000:01:00.0: DMAR: Device is ineligible for IOMMU domain attach "
                      "due to platform RMRR requirement.  Contact your platform vendor."})
                    .text,
                HasSubstr("RMRR"));
    EXPECT_THAT(only({"vfio-pci 0000:01:00.0: Firmware has requested this device have a 1:1 IOMMU "
                      "mapping, rejecting configuring the device without a 1:1 mapping."})
                    .hint,
                HasSubstr("firmware"));
    const auto stuck = only({"INFO: task vfbrokerd:812 blocked for more than 120 seconds."});
    EXPECT_EQ(stuck.subject, "host");
    EXPECT_THAT(kernel_complaints({"INFO: task sync:9 blocked for more than 120 seconds."}),
                IsEmpty());
}

TEST(GuestMemory, OfEachProgram) {
    const auto of = [](std::vector<std::string> words) { return guest_memory(words).value_or(0); };
    constexpr std::uint64_t kGibi = std::uint64_t{1} << 30;
    EXPECT_EQ(of({"qemu-system-x86_64", "-m", "2G"}), 2 * kGibi);
    EXPECT_EQ(of({"qemu-system-x86_64", "-m", "1024"}), kGibi);
    EXPECT_EQ(of({"/usr/bin/qemu-kvm", "-m", "size=4g,slots=2,maxmem=8G"}), 4 * kGibi);
    EXPECT_EQ(of({"qemu-system-x86_64", "-m", "2048M,slots=4"}), 2 * kGibi);
    EXPECT_EQ(of({"cloud-hypervisor", "--memory", "size=1073741824,shared=on"}), kGibi);
    EXPECT_EQ(of({"cloud-hypervisor", "--memory=size=1T"}), 1024 * kGibi);
    EXPECT_EQ(of({"crosvm", "run", "--mem", "1024"}), kGibi);
    EXPECT_EQ(of({"crosvm", "run", "--mem=size=1024"}), kGibi);
    for (const auto& words : std::vector<std::vector<std::string>>{
             {}, {"qemu"}, {"qemu", "-m"}, {"qemu", "-m", "lots"}, {"qemu", "-m", "2X"}})
        EXPECT_FALSE(guest_memory(words));
}

TEST(LockedMemory, IsTheSoftLimit) {
    EXPECT_EQ(
        locked_memory_limit("Limit Soft Limit Hard Limit Units\n"
                            "Max locked memory         65536                131072    bytes\n"),
        65536U);
    EXPECT_FALSE(locked_memory_limit("Max locked memory         unlimited   unlimited   bytes\n"));
    EXPECT_FALSE(locked_memory_limit("Max processes 1\n"));
    EXPECT_FALSE(locked_memory_limit("Max locked memory"));
}

TEST(UnitSetting, IsTheLastOfItsSection) {
    const std::string unit =
        "[Unit]\nLimitMEMLOCK=1\n[Service]\nLimitMEMLOCKX=3\nLimitMEMLOCK=64M\n"
        "# LimitMEMLOCK=9\nLimitMEMLOCK = infinity\n[Install]\nLimitMEMLOCK=2\n";
    EXPECT_EQ(unit_setting(unit, "LimitMEMLOCK"), "infinity");
    EXPECT_EQ(unit_setting("[Service]\nLimitMEMLOCK=\n", "LimitMEMLOCK"), "");
    EXPECT_FALSE(unit_setting("[Service]\nType=notify\n", "LimitMEMLOCK"));
}

TEST(ManagedHostDevices, OfDomains) {
    const std::string xml = R"(<domain>
      <hostdev mode="subsystem" type="pci" managed="yes">
        <source><address domain="0x0000" bus="0x01" slot="0x10" function="0x2"/></source>
        <address type='pci' domain='0x0000' bus='0x05' slot='0x00' function='0x0'/>
      </hostdev>
      <hostdev mode='subsystem' type='pci' managed='no'>
        <source><address domain='0x0000' bus='0x02' slot='0x10' function='0x0'/></source>
      </hostdev>
      <hostdev mode='subsystem' type='usb' managed='yes'><source/></hostdev>
      <interface type='hostdev' managed='yes'>
        <source><address type='pci' domain='0x0001' bus='0x03' slot='0x10' function='0x1'/></source>
      </interface>
      <interface type='network'><source network='default'/></interface>
    </domain>)";
    std::vector<std::string> texts;
    for (const auto& address : managed_host_devices(xml)) texts.push_back(address.str());
    EXPECT_THAT(texts, ElementsAre("0000:01:10.2", "0001:03:10.1"));
    for (const char* broken :
         {"", "<hostdev ", "<hostdev type='pci' managed='yes'>",
          "<hostdev type='pci' managed='yes'><source><address ", "<hostdev type='"})
        EXPECT_THAT(managed_host_devices(broken), IsEmpty()) << broken;
}

TEST(IdsClaim, AsVfioPciTakesThem) {
    pci::Function function;
    function.vendor = 0x8086;
    function.device = 0x10ca;
    function.subsystem_vendor = 0x8086;
    function.subsystem_device = 0xa03c;
    function.class_code = 0x020000;
    for (const char* yes : {"8086:10ca", "10de:2204,8086:10ca", "8086:10ca:8086:a03c",
                            "8086:10CA:ffffffff:ffffffff:020000:ffffff"})
        EXPECT_TRUE(ids_claim(yes, function)) << yes;
    for (const char* no : {"", "8086", "8086:10c9", "8086:10ca:1028", ":",
                           "8086:10ca:8086:a03c:030000:ff0000", "zz:zz", ",,"})
        EXPECT_FALSE(ids_claim(no, function)) << no;
}

}  // namespace
}  // namespace vfb::doctor
