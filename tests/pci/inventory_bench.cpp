// SPDX-License-Identifier: GPL-2.0-or-later
//
// inventory_bench [TREE]: reads all functions once, in a process that does nothing else, and says
// how many there were. Compare with `lspci -A linux-sysfs -O sysfs.path=TREE/sys/bus/pci -D -k`.
#include <fmt/format.h>
#include <malloc.h>

#include "base/sys_root.hpp"
#include "pci/inventory.hpp"

int main(int argc, char** argv) {
    const auto root = argc > 1 ? vfb::SysRoot::at(argv[1]) : vfb::SysRoot::host();
    if (!root) {
        fmt::print(stderr, "{}\n", root.error().message());
        return 1;
    }
    std::vector<vfb::pci::ReadProblem> problems;
    vfb::Result<std::vector<vfb::pci::Function>> functions;
    {
        vfb::pci::Inventory inventory(*root);
        functions = inventory.read_all(&problems);
    }
    if (!functions) {
        fmt::print(stderr, "{}\n", functions.error().message());
        return 1;
    }
    const auto with = ::mallinfo2();
    const auto count = functions->size();
    functions.emplace();
    const auto without = ::mallinfo2();
    const auto bytes = with.uordblks + with.hblkhd - without.uordblks - without.hblkhd;
    fmt::print("{} functions in {} KiB, {} problems\n", count, bytes / 1024, problems.size());
    for (const auto& problem : problems) fmt::print("{}\n", problem.error.message());
    return 0;
}
