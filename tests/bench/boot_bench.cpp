// SPDX-License-Identifier: GPL-2.0-or-later
//
// boot_bench PF...: makes all VFs of the PFs ready to be leased with bare kernel calls, the floor
// under a start of vfbrokerd (boot.py). The order is that of the kernel's own constraints, and
// nothing is checked: the PF's link up, all VFs created without drivers; then each VF, all at once,
// bound to vfio-pci and reset by the first open of its device; then the attributes of a network
// PF's VFs in one batch, and one message that reads them back. A thread for each PF.
// Runs inside the emulated machine, on the kernel with iommufd, without vfbrokerd.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "link_batch.hpp"

namespace {

namespace fs = std::filesystem;
using vfb::bench::LinkBatch;

// VFIO_DEVICE_BIND_IOMMUFD of linux/vfio.h, which is newer than Debian 12.
struct BindIommufd {
    std::uint32_t argsz = sizeof(BindIommufd);
    std::uint32_t flags = 0;
    std::int32_t iommufd = -1;
    std::uint32_t out_devid = 0;
};
constexpr unsigned long kBindIommufd = _IO(';', 118);

[[noreturn]] void die(const std::string& what) {
    fmt::print(stderr, "boot_bench: {}: {}\n", what, std::strerror(errno));
    std::exit(1);
}

void put(const std::string& path, const std::string& value) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0 || ::write(fd, value.data(), value.size()) < 0) die("write " + path);
    ::close(fd);
}

unsigned number_in(const std::string& path) {
    unsigned number = 0;
    if (!(std::ifstream(path) >> number)) die("read " + path);
    return number;
}

// 0: it is no network interface.
int ifindex_of(const std::string& pf) {
    const fs::path folder = pf + "/net";
    if (!fs::exists(folder)) return 0;
    return static_cast<int>(
        number_in(fs::directory_iterator(folder)->path().string() + "/ifindex"));
}

void bind_and_reset(const fs::path& vf) {
    put(vf.string() + "/driver_override", "vfio-pci");
    put("/sys/bus/pci/drivers_probe", vf.filename().string());
    const auto node = fs::directory_iterator(vf / "vfio-dev")->path().filename().string();
    const int device = ::open(("/dev/vfio/devices/" + node).c_str(), O_RDWR | O_CLOEXEC);
    const int context = ::open("/dev/iommu", O_RDWR | O_CLOEXEC);
    BindIommufd bind{.iommufd = context};
    if (device < 0 || context < 0 || ::ioctl(device, kBindIommufd, &bind) != 0) die("open " + node);
    ::close(device);
    ::close(context);
}

void set_attributes(int socket, std::vector<char>& buffer, int ifindex, unsigned vfs) {
    LinkBatch batch;
    for (unsigned vf = 0; vf < vfs; ++vf) {
        const auto last = static_cast<unsigned char>(vf);
        const auto link = static_cast<unsigned char>(ifindex);
        batch.set(ifindex, IFLA_VF_MAC, ifla_vf_mac{.vf = vf, .mac = {2, 0, 0, 0, link, last}});
        batch.set_vlan(ifindex, vf, 100);
        batch.set(ifindex, IFLA_VF_RATE,
                  ifla_vf_rate{.vf = vf, .min_tx_rate = 0, .max_tx_rate = 500});
        batch.set(ifindex, IFLA_VF_SPOOFCHK, ifla_vf_spoofchk{.vf = vf, .setting = 0});
    }
    if (!batch.send(socket, buffer)) die("set attributes");
    LinkBatch ask;
    ask.ask_vfs(ifindex);
    if (!ask.send(socket, buffer)) die("read attributes");
}

void prepare(const std::string& pf) {
    const int ifindex = ifindex_of(pf);
    const unsigned total = number_in(pf + "/sriov_totalvfs");
    const int socket = vfb::bench::open_netlink();
    if (socket < 0) die("open a netlink socket");
    std::vector<char> buffer(1 << 16);
    LinkBatch up;
    up.set_up(ifindex);
    if (ifindex != 0 && !up.send(socket, buffer)) die("set the link up");
    put(pf + "/sriov_drivers_autoprobe", "0");
    put(pf + "/sriov_numvfs", std::to_string(total));
    {
        std::vector<std::jthread> threads;
        for (unsigned vf = 0; vf < total; ++vf)
            threads.emplace_back(bind_and_reset, fs::canonical(fmt::format("{}/virtfn{}", pf, vf)));
    }
    if (ifindex != 0) set_attributes(socket, buffer, ifindex, total);
    ::close(socket);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        fmt::print(stderr, "usage: boot_bench PF...\n");
        return 2;
    }
    std::vector<std::jthread> threads;
    for (int i = 1; i < argc; ++i)
        threads.emplace_back(prepare, std::string("/sys/bus/pci/devices/") + argv[i]);
    return 0;
}
