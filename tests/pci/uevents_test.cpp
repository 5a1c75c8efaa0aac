// SPDX-License-Identifier: GPL-2.0-or-later
#include "pci/uevents.hpp"

#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <chrono>
#include <random>

namespace vfb::pci {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

// As a 6.12 kernel sent them.
const auto kAdd =
    "add@/devices/pci0000:00/0000:00:02.0/0000:01:10.0\0ACTION=add\0"
    "DEVPATH=/devices/pci0000:00/0000:00:02.0/0000:01:10.0\0SUBSYSTEM=pci\0PCI_CLASS=20000\0"
    "PCI_ID=8086:10CA\0PCI_SUBSYS_ID=8086:0000\0PCI_SLOT_NAME=0000:01:10.0\0"
    "MODALIAS=pci:v00008086d000010CAsv00008086sd00000000bc02sc00i00\0SEQNUM=1234\0"s;
const auto kBind =
    "bind@/devices/pci0000:00/0000:00:02.0/0000:01:10.0\0ACTION=bind\0"
    "DEVPATH=/devices/pci0000:00/0000:00:02.0/0000:01:10.0\0SUBSYSTEM=pci\0DRIVER=vfio-pci\0"
    "SEQNUM=1240\0"s;
const auto kNet =
    "add@/devices/pci0000:00/0000:00:02.0/0000:01:00.0/net/eth0\0ACTION=add\0"
    "DEVPATH=/devices/pci0000:00/0000:00:02.0/0000:01:00.0/net/eth0\0SUBSYSTEM=net\0"
    "INTERFACE=eth0\0IFINDEX=2\0SEQNUM=900\0"s;

TEST(Uevent, IsParsed) {
    const auto add = parse_uevent(kAdd).value();
    EXPECT_EQ(add.kind, Uevent::Kind::add);
    EXPECT_EQ(add.subsystem, "pci");
    EXPECT_EQ(add.path, "/devices/pci0000:00/0000:00:02.0/0000:01:10.0");
    EXPECT_EQ(add.address, Address::parse("0000:01:10.0").value());
    EXPECT_EQ(add.driver, "");
    const auto bind = parse_uevent(kBind).value();
    EXPECT_EQ(bind.kind, Uevent::Kind::bind);
    EXPECT_EQ(bind.driver, "vfio-pci");
    const auto net = parse_uevent(kNet).value();
    EXPECT_EQ(net.interface, "eth0");
    EXPECT_EQ(net.address, Address::parse("0000:01:00.0").value());
}

TEST(Uevent, MayBelongToNoFunction) {
    const auto event =
        parse_uevent("change@/devices/virtual/net/lo\0SUBSYSTEM=net\0INTERFACE=lo\0"s).value();
    EXPECT_EQ(event.kind, Uevent::Kind::change);
    EXPECT_FALSE(event.address);
    EXPECT_EQ(parse_uevent("move@/devices/x\0SUBSYSTEM=net\0"s).value().kind, Uevent::Kind::other);
}

TEST(Uevent, IsRefusedWhenItIsNone) {
    EXPECT_FALSE(parse_uevent(""));
    EXPECT_FALSE(parse_uevent("\0"s));
    EXPECT_FALSE(parse_uevent("add@/devices/x"));
    EXPECT_FALSE(parse_uevent("add@\0SUBSYSTEM=pci\0"s));
    EXPECT_FALSE(parse_uevent("add@/devices/x\0ACTION=add\0"s));
    EXPECT_FALSE(parse_uevent("libudev\0\xfe\xed\xca\xfe SUBSYSTEM=pci\0"s));
}

TEST(Uevent, SurvivesCutsAndNoise) {
    for (std::size_t size = 0; size < kAdd.size(); ++size)
        (void)parse_uevent(std::string_view(kAdd).substr(0, size));
    std::mt19937 random(1);
    for (int round = 0; round < 20000; ++round) {
        auto text = kAdd;
        for (int i = 0; i < 8; ++i) text[random() % text.size()] = static_cast<char>(random());
        (void)parse_uevent(text);
    }
}

TEST(UeventMonitor, OpensAndTimesOut) {
    auto monitor = UeventMonitor::open();
    ASSERT_TRUE(monitor) << monitor.error().message();
    // Other devices of this machine may have something to say.
    const auto start = std::chrono::steady_clock::now();
    const Deadline deadline(50ms);
    while (monitor->wait(deadline).value()) {
    }
    EXPECT_GE(std::chrono::steady_clock::now() - start, 50ms);
}

// Root may send to the group like the kernel does, but cannot pass for it.
TEST(UeventMonitor, DropsWhatIsNotFromTheKernel) {
    auto monitor = UeventMonitor::open().value();
    sockaddr_nl own{};
    socklen_t length = sizeof own;
    ASSERT_EQ(::getsockname(monitor.fd(), reinterpret_cast<sockaddr*>(&own), &length), 0);
    const UniqueFd sender(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
    sockaddr_nl to{};
    to.nl_family = AF_NETLINK;
    to.nl_pid = own.nl_pid;
    if (::sendto(sender.get(), kAdd.data(), kAdd.size(), 0, reinterpret_cast<sockaddr*>(&to),
                 sizeof to) < 0)
        GTEST_SKIP() << "not allowed to send";
    const Deadline deadline(100ms);
    while (const auto event = monitor.wait(deadline).value())
        EXPECT_NE(event->path, "/devices/pci0000:00/0000:00:02.0/0000:01:10.0");
}

}  // namespace
}  // namespace vfb::pci
