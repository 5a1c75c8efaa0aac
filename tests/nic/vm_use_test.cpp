// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the host uses a NIC for, against the kernel: each use is made with ip(8) and found again.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "nic/host_use.hpp"

namespace vfb::nic {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* kPf = "0000:01:00.0";

void run(const std::string& command) {
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

class Uses : public testing::Test {
protected:
    void SetUp() override {
        if (std::getenv("VFB_VM") == nullptr)
            GTEST_SKIP() << "changes the network: runs inside ./dev vm only";
        const std::string folder = std::string("/sys/bus/pci/devices/") + kPf + "/net";
        name = std::filesystem::directory_iterator(folder)->path().filename().string();
        // QEMU's network advertises itself as a router; down, a link forgets what it was told.
        run("ip link set " + name + " down");
        run("echo 0 >/proc/sys/net/ipv6/conf/" + name + "/accept_ra");
        run("ip link set " + name + " up");
    }
    void TearDown() override {
        if (name.empty()) return;
        (void)std::system("rdma link delete rxe0 2>/dev/null");
        (void)std::system("ip netns delete web 2>/dev/null; sleep 0.1");
        for (const char* made : {"bond7", "br7", "v7"})
            (void)std::system(("ip link delete " + std::string(made) + " 2>/dev/null").c_str());
        run("ip address flush dev " + name);
        run("ip link set " + name + " down");
    }
    std::vector<std::string> texts(const std::string& client = {}) const {
        const auto root = SysRoot::host();
        const auto networks = read_networks(*root, {kPf});
        EXPECT_TRUE(networks) << networks.error().message();
        if (!networks) return {};
        int link = 0;
        if (!client.empty()) {
            const auto found = link_to(client);
            EXPECT_TRUE(found) << found.error().message();
            link = found.value_or(0);
        }
        std::vector<std::string> list;
        FileHolders holders(*root, *networks);
        for (const auto& use : uses_of(*networks, holders, kPf, {}, client, link))
            list.push_back(use.kind + ": " + use.text);
        return list;
    }
    UniqueFd bound_to_device(int type) const {
        UniqueFd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
        EXPECT_EQ(::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, name.data(),
                               static_cast<socklen_t>(name.size())),
                  0);
        sockaddr_in any{};
        any.sin_family = AF_INET;
        any.sin_port = htons(5353);
        EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
        return fd;
    }
    std::string name;
};

TEST_F(Uses, NoneOfALinkThatIsOnlyUp) {
    EXPECT_THAT(texts(), IsEmpty());
}

TEST_F(Uses, AddressesRoutesAndTheSshSession) {
    run("ip address add 192.0.2.1/24 dev " + name);
    run("ip -6 address add fd00::9/64 nodad dev " + name);
    run("ip route add 10.0.0.0/8 via 192.0.2.2");
    run("ip route add default via 192.0.2.2");
    EXPECT_THAT(texts("198.51.100.4"),
                ElementsAre("address: " + name + " has the address 192.0.2.1/24",
                            "address: " + name + " has the address fd00::9/64",
                            "default-route: the default route leaves by " + name,
                            "route: the route to 10.0.0.0/8 leaves by " + name,
                            "ssh: your SSH session from 198.51.100.4 comes in by " + name));
    EXPECT_EQ(link_to("127.0.0.1").value(), static_cast<int>(::if_nametoindex("lo")));
    EXPECT_EQ(link_to("no address").error().code, Code::invalid);
}

TEST_F(Uses, ABridgeWithAnAddress) {
    run("ip link add br7 type bridge");
    run("ip link set " + name + " master br7");
    run("ip address add 192.0.2.1/24 dev br7");
    EXPECT_THAT(texts(), ElementsAre("member: " + name + " is a member of br7 (bridge)",
                                     "address: br7 has the address 192.0.2.1/24"));
}

TEST_F(Uses, ABond) {
    run("ip link add bond7 type bond mode active-backup");
    run("ip link set " + name + " down");
    run("ip link set " + name + " master bond7");
    EXPECT_THAT(texts(), ElementsAre("member: " + name + " is a member of bond7 (bond)"));
}

TEST_F(Uses, AVlan) {
    run("ip link add link " + name + " name v7 type vlan id 7");
    EXPECT_THAT(texts(), ElementsAre("upper: v7 (vlan) stands on " + name));
}

TEST_F(Uses, AMacvlanInAnotherNamespace) {
    run("ip netns add web");
    run("ip link add link " + name + " name v7 type macvlan mode bridge");
    run("ip link set v7 netns web");
    EXPECT_THAT(texts(),
                ElementsAre("upper: v7 (macvlan) in the network namespace web stands on " + name));
}

TEST_F(Uses, ItsInterfaceInAnotherNamespace) {
    run("ip netns add web");
    run("ip link set " + name + " netns web");
    run("ip -n web address add 192.0.2.1/24 dev " + name);
    EXPECT_THAT(texts(),
                ElementsAre("namespace: its interface " + name + " is in the network namespace web",
                            "address: " + name +
                                " in the network namespace web has the address "
                                "192.0.2.1/24"));
    run("ip -n web link set " + name + " netns 1");
}

TEST_F(Uses, AnOpenVSwitch) {
    if (std::string(std::getenv("VFB_VM")) != "stock") GTEST_SKIP() << "the kernel has none";
    run("modprobe openvswitch");
    const std::string dpctl = "tests/vm/trixie.sh run openvswitch-switch ovs-dpctl ";
    run(dpctl + "add-dp ovs7");
    run(dpctl + "add-if ovs7 " + name);
    EXPECT_THAT(texts(), ElementsAre("member: " + name + " is a member of ovs7 (openvswitch)"));
    run(dpctl + "del-dp ovs7");
    EXPECT_THAT(texts(), IsEmpty());
}

long bpf(int command, bpf_attr& attributes) {
    return ::syscall(SYS_bpf, command, &attributes, sizeof attributes);
}

TEST_F(Uses, AnXdpProgram) {
    std::array<bpf_insn, 2> program{};  // r0 = XDP_PASS; exit
    program[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
    program[0].imm = XDP_PASS;
    program[1].code = BPF_JMP | BPF_EXIT;
    bpf_attr load{};
    load.prog_type = BPF_PROG_TYPE_XDP;
    load.insns = reinterpret_cast<std::uint64_t>(program.data());
    load.insn_cnt = program.size();
    load.license = reinterpret_cast<std::uint64_t>("GPL");
    const UniqueFd loaded(static_cast<int>(bpf(BPF_PROG_LOAD, load)));
    ASSERT_TRUE(loaded) << std::strerror(errno);
    bpf_attr attach{};
    attach.link_create.prog_fd = static_cast<std::uint32_t>(loaded.get());
    attach.link_create.target_ifindex = ::if_nametoindex(name.c_str());
    attach.link_create.attach_type = BPF_XDP;
    attach.link_create.flags = XDP_FLAGS_SKB_MODE;
    UniqueFd link(static_cast<int>(bpf(BPF_LINK_CREATE, attach)));
    ASSERT_TRUE(link) << std::strerror(errno);
    EXPECT_THAT(texts(), ElementsAre("xdp: " + name + " runs an XDP program"));
    link.reset();
    EXPECT_THAT(texts(), IsEmpty());
}

TEST_F(Uses, AnAfXdpSocket) {
    constexpr std::size_t kFrame = 2048;
    constexpr std::size_t kSize = 16 * kFrame;
    const rlimit unlimited{.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    ASSERT_EQ(::setrlimit(RLIMIT_MEMLOCK, &unlimited), 0);
    void* const memory =
        ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    const UniqueFd fd(::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
    ASSERT_TRUE(fd) << std::strerror(errno);
    xdp_umem_reg area{};
    area.addr = reinterpret_cast<std::uint64_t>(memory);
    area.len = kSize;
    area.chunk_size = kFrame;
    const auto set = [&](int option, const auto& value) {
        ASSERT_EQ(::setsockopt(fd.get(), SOL_XDP, option, &value, sizeof value), 0)
            << option << ": " << std::strerror(errno);
    };
    set(XDP_UMEM_REG, area);
    for (const int ring : {XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING})
        set(ring, 16);
    sockaddr_xdp address{};
    address.sxdp_family = AF_XDP;
    address.sxdp_flags = XDP_COPY;
    address.sxdp_ifindex = ::if_nametoindex(name.c_str());
    ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0)
        << std::strerror(errno);
    EXPECT_THAT(texts(), ElementsAre("xdp: 1 AF_XDP socket is bound to " + name + ", held by pid " +
                                     std::to_string(::getpid()) + " (vm_use_test)"));
    ::munmap(memory, kSize);
}

TEST_F(Uses, ASoftRdmaDeviceOnIt) {
    if (std::string(std::getenv("VFB_VM")) != "stock") GTEST_SKIP() << "the kernel has no RDMA";
    run("modprobe rdma_rxe");
    run("rdma link add rxe0 type rxe netdev " + name);
    EXPECT_THAT(texts(), IsEmpty()) << "what the kernel makes for every device is no use";
    const UniqueFd node(::open("/dev/infiniband/uverbs0", O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(node);
    EXPECT_THAT(texts(),
                ElementsAre("rdma: pid " + std::to_string(::getpid()) +
                            " (vm_use_test) has the RDMA device rxe0 on " + name + " open"));
    run("rdma system set netns exclusive");
    EXPECT_EQ(texts().size(), 1U);
    run("rdma system set netns shared");
}

TEST_F(Uses, SocketsThatAreBoundToIt) {
    const UniqueFd tcp = bound_to_device(SOCK_STREAM);
    ASSERT_EQ(::listen(tcp.get(), 1), 0);
    const UniqueFd udp = bound_to_device(SOCK_DGRAM);
    const UniqueFd packet(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)));
    sockaddr_ll link{};
    link.sll_family = AF_PACKET;
    link.sll_protocol = htons(ETH_P_ALL);
    link.sll_ifindex = static_cast<int>(::if_nametoindex(name.c_str()));
    ASSERT_EQ(::bind(packet.get(), reinterpret_cast<const sockaddr*>(&link), sizeof link), 0);
    const auto found = texts();
    const std::string held = ", held by pid " + std::to_string(::getpid()) + " (vm_use_test)";
    EXPECT_THAT(found, Contains("socket: 1 TCP socket is bound to " + name + held));
    EXPECT_THAT(found, Contains("socket: 1 UDP socket is bound to " + name + held));
    EXPECT_THAT(found, Contains("socket: 1 packet socket is bound to " + name + held));
}

}  // namespace
}  // namespace vfb::nic
