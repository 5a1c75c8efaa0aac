// SPDX-License-Identifier: GPL-2.0-or-later
//
// provision_bench ROUNDS PF...: creates all VFs of the PFs and binds them to vfio-pci, by the pci
// module (as the workers do: a thread for each PF, as there is a process for each) and by the
// floor, the same writes to sysfs bare, a thread for each PF too. Removes them after each round,
// which is not measured. Runs inside the emulated machine, without vfbrokerd.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/sys_root.hpp"
#include "pci/binding.hpp"
#include "pci/sriov.hpp"
#include "samples.hpp"

namespace {

using namespace std::chrono_literals;

void put(const std::string& path, const std::string& value) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0 || ::write(fd, value.data(), value.size()) < 0) {
        fmt::print(stderr, "provision_bench: cannot write {} to {}\n", value, path);
        std::exit(1);
    }
    ::close(fd);
}

std::string total_of(const std::string& pf) {
    return std::to_string(vfb::SysRoot::host()
                              ->sys()
                              .read_number("bus/pci/devices/" + pf + "/sriov_totalvfs")
                              .value());
}

void bare(const std::string& pf) {
    const std::string folder = "/sys/bus/pci/devices/" + pf;
    const int total = std::atoi(total_of(pf).c_str());
    put(folder + "/sriov_drivers_autoprobe", "0");
    put(folder + "/sriov_numvfs", std::to_string(total));
    for (int i = 0; i < total; ++i) {
        const auto vf = std::filesystem::canonical(folder + "/virtfn" + std::to_string(i));
        put(vf.string() + "/driver_override", "vfio-pci");
        put("/sys/bus/pci/drivers_probe", vf.filename().string());
    }
}

void ours(const vfb::SysRoot& root, const std::string& pf) {
    const auto address = vfb::pci::Address::parse(pf).value();
    const auto total = static_cast<unsigned>(std::atoi(total_of(pf).c_str()));
    const auto vfs = vfb::pci::create_vfs(root, address, total, 30s);
    if (!vfs) {
        fmt::print(stderr, "provision_bench: {}\n", vfs.error().message());
        std::exit(1);
    }
    std::vector<std::jthread> binding;
    for (const auto& vf : *vfs)
        binding.emplace_back([&root, vf] {
            if (const auto bound = vfb::pci::bind(root, vf, "vfio-pci"); !bound) {
                fmt::print(stderr, "provision_bench: {}\n", bound.error().message());
                std::exit(1);
            }
        });
}

template <class Body>
bool on_each(const std::vector<std::string>& pfs, Body body) {
    std::vector<std::jthread> threads;
    for (const auto& pf : pfs) threads.emplace_back([&body, pf] { body(pf); });
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        fmt::print(stderr, "usage: provision_bench ROUNDS PF...\n");
        return 2;
    }
    const std::vector<std::string> pfs(argv + 2, argv + argc);
    const auto root = vfb::SysRoot::host();
    const auto remove = [&] {
        for (const auto& pf : pfs) put("/sys/bus/pci/devices/" + pf + "/sriov_numvfs", "0");
    };
    vfb::bench::Samples floor;
    vfb::bench::Samples brokered;
    for (int round = 0; round < std::atoi(argv[1]); ++round) {
        (void)floor.time([&] { return on_each(pfs, bare); });
        remove();
        (void)brokered.time(
            [&] { return on_each(pfs, [&](const std::string& pf) { ours(*root, pf); }); });
        remove();
    }
    fmt::print("provision {:.2f} {:.0f} {:.0f}\n", brokered.percentile(0.5) / floor.percentile(0.5),
               brokered.percentile(0.5), floor.percentile(0.5));
    return 0;
}
