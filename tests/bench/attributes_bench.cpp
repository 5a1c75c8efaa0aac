// SPDX-License-Identifier: GPL-2.0-or-later
//
// attributes_bench ROUNDS: sets three attributes of each of 256 VFs (netdevsim) and reads them
// back: by the nic module; by the floor, the same messages in one send, acknowledged singly, and
// one that asks for all VFs, with nothing compared; and, once, by a program for each attribute, as
// scripts do: ip link set. Runs inside the emulated machine, on the kernel with netdevsim.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "link_batch.hpp"
#include "nic/vf_attributes.hpp"
#include "samples.hpp"

namespace {

using namespace std::chrono_literals;
using vfb::bench::LinkBatch;
using vfb::nic::VfAttributes;

constexpr unsigned kVfs = 256;
constexpr const char* kDevice = "/sys/bus/netdevsim/devices/netdevsim1";

[[noreturn]] void die(const std::string& what) {
    fmt::print(stderr, "attributes_bench: {}: {}\n", what, std::strerror(errno));
    std::exit(1);
}

void put(const std::string& path, const std::string& text) {
    std::ofstream file(path);
    file << text << std::flush;
    if (!file) die("write " + path);
}

int make_vfs() {
    put("/sys/bus/netdevsim/new_device", "1 1");
    put("/sys/kernel/debug/netdevsim/netdevsim1/max_vfs", std::to_string(kVfs));
    put(std::string(kDevice) + "/sriov_numvfs", std::to_string(kVfs));
    const std::filesystem::directory_iterator links(std::string(kDevice) + "/net");
    return static_cast<int>(::if_nametoindex(links->path().filename().c_str()));
}

// Each round others, so that there is something to set.
VfAttributes wanted(unsigned round, unsigned vf) {
    VfAttributes attributes;
    attributes.mac = vfb::nic::stable_mac("machine", std::to_string(round), vf);
    attributes.vlan = static_cast<std::uint16_t>(1 + (round + vf) % 4000);
    attributes.trust = (round + vf) % 2 == 0;
    return attributes;
}

// ---- the floor

bool bare(int socket, std::vector<char>& buffer, int ifindex, unsigned round) {
    LinkBatch batch;
    for (unsigned vf = 0; vf < kVfs; ++vf) {
        const auto attributes = wanted(round, vf);
        ifla_vf_mac mac{.vf = vf, .mac = {}};
        std::ranges::copy(attributes.mac->bytes, mac.mac);
        batch.set(ifindex, IFLA_VF_MAC, mac);
        batch.set_vlan(ifindex, vf, *attributes.vlan);
        batch.set(ifindex, IFLA_VF_TRUST,
                  ifla_vf_trust{.vf = vf, .setting = *attributes.trust ? 1U : 0U});
    }
    if (!batch.send(socket, buffer)) die("set attributes");
    LinkBatch ask;
    ask.ask_vfs(ifindex);
    if (!ask.send(socket, buffer)) die("read attributes");
    return true;
}

// ---- a program for each

void run(std::vector<std::string> words) {
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_t pid = 0;
    int status = 0;
    errno = ::posix_spawnp(&pid, arguments[0], nullptr, nullptr, arguments.data(), environ);
    if (errno != 0 || ::waitpid(pid, &status, 0) < 0 || status != 0) die("run " + words.front());
}

bool by_ip(const std::string& name, unsigned round) {
    for (unsigned vf = 0; vf < kVfs; ++vf) {
        const auto attributes = wanted(round, vf);
        const auto set = [&](const char* what, const std::string& value) {
            run({"ip", "link", "set", name, "vf", std::to_string(vf), what, value});
        };
        set("mac", attributes.mac->str());
        set("vlan", std::to_string(*attributes.vlan));
        set("trust", *attributes.trust ? "on" : "off");  // not a rate: ip looks for the VF first,
                                                         // in a list that has wrapped
    }
    return true;
}

// ---- ours

bool ours(vfb::nic::Session& session, int ifindex, unsigned round) {
    std::vector<vfb::nic::VfRequest> requests;
    for (unsigned vf = 0; vf < kVfs; ++vf)
        requests.push_back({.index = vf, .wanted = wanted(round, vf)});
    const auto results = session.write_many(ifindex, requests, 1s);
    if (!results) die(results.error().message());
    for (unsigned vf = 0; vf < kVfs; ++vf)
        if (const auto& result = (*results)[vf];
            !result || result->actual.vlan != requests[vf].wanted.vlan)
            die(result ? "it reads back wrong" : result.error().message());
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        fmt::print(stderr, "usage: attributes_bench ROUNDS\n");
        return 2;
    }
    const int ifindex = make_vfs();
    char name[IF_NAMESIZE];
    if (::if_indextoname(static_cast<unsigned>(ifindex), name) == nullptr) die("find the netdev");
    auto session = vfb::nic::Session::open();
    if (!session) die(session.error().message());
    const int socket = vfb::bench::open_netlink();
    if (socket < 0) die("open a netlink socket");
    std::vector<char> buffer(1 << 20);

    vfb::bench::Samples floor;
    vfb::bench::Samples batch;
    vfb::bench::Samples programs;
    const int rounds = std::atoi(argv[1]);
    unsigned round = 0;
    for (int i = 0; i < rounds; ++i) {
        (void)floor.time([&] { return bare(socket, buffer, ifindex, ++round); });
        (void)batch.time([&] { return ours(*session, ifindex, ++round); });
    }
    const auto took = batch.percentile(0.5);
    fmt::print("attributes {:.2f} {:.0f} {:.0f}\n", took / floor.percentile(0.5), took,
               floor.percentile(0.5));
    (void)std::fflush(stdout);
    (void)programs.time([&] { return by_ip(name, ++round); });
    fmt::print("attributes_ip {:.0f} {:.0f} {:.0f}\n", programs.percentile(0.5) / took, took,
               programs.percentile(0.5));
    put("/sys/bus/netdevsim/del_device", "1");
    ::close(socket);
    return 0;
}
