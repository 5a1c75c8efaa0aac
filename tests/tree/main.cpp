// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfb-tree: writes the tree of a large host.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "pci/inventory.hpp"
#include "tree/faults.hpp"
#include "tree/host.hpp"

namespace {

constexpr const char* kUsage =
    "usage: vfb-tree DIR [--functions N] [--pfs N] [--vfs N] [--seed N] [--faults]\n"
    "Writes DIR/sys, DIR/dev and DIR/proc of a host with many PCI functions. --faults breaks some\n"
    "of them in every way that is known. What is there:\n"
    "  lspci -A linux-sysfs -O sysfs.path=DIR/sys/bus/pci -D -k\n";

// One fault a function, spread over the host; not on bridges and PFs, whose VFs need them.
vfb::Result<> break_some(const std::string& path, const std::vector<vfb::pci::Function>& all) {
    std::vector<vfb::pci::Address> candidates;
    for (const auto& function : all)
        if (!function.is_bridge() && !function.is_pf() && !function.is_vf())
            candidates.push_back(function.address);
    const auto& faults = vfb::tree::all_faults();
    const auto step = std::max<std::size_t>(candidates.size() / faults.size(), 1);
    for (std::size_t i = 0; i < faults.size() && i * step < candidates.size(); ++i)
        VFB_CHECK(vfb::tree::break_function(path, candidates[i * step], faults[i].first));
    return {};
}

template <class T>
bool take_number(int argc, char** argv, int& at, const char* name, T& value) {
    if (std::strcmp(argv[at], name) != 0 || at + 1 >= argc) return false;
    const char* text = argv[++at];
    const auto [ptr, ec] = std::from_chars(text, text + std::strlen(text), value);
    return ec == std::errc{} && *ptr == '\0';
}

}  // namespace

int main(int argc, char** argv) {
    vfb::tree::HostOptions options;
    bool faults = false;
    if (argc < 2 || argv[1][0] == '-') {
        fmt::print(stderr, "{}", kUsage);
        return 2;
    }
    for (int at = 2; at < argc; ++at) {
        if (std::strcmp(argv[at], "--faults") == 0) {
            faults = true;
        } else if (!take_number(argc, argv, at, "--functions", options.functions) &&
                   !take_number(argc, argv, at, "--pfs", options.pfs) &&
                   !take_number(argc, argv, at, "--vfs", options.vfs) &&
                   !take_number(argc, argv, at, "--seed", options.seed)) {
            fmt::print(stderr, "{}", kUsage);
            return 2;
        }
    }
    const auto functions = vfb::tree::write_host(argv[1], options);
    auto broken = functions && faults ? break_some(argv[1], *functions) : vfb::Result<>{};
    if (!functions || !broken) {
        fmt::print(stderr, "vfb-tree: {}\n",
                   (functions ? broken.error() : functions.error()).message());
        return 1;
    }
    fmt::print("{}: {} functions\n", argv[1], functions->size());
    return 0;
}
