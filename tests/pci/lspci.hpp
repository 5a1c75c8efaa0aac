// SPDX-License-Identifier: GPL-2.0-or-later
//
// What lspci says, to compare an inventory with.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "pci/function.hpp"

namespace vfb::pci::test {

struct LspciRecord {
    std::map<std::string, std::string> fields;  // of `lspci -vmmnnk`
    std::vector<std::string> lines;             // of `lspci -vvv`, without what leads them in
};

// `options` precede those that set the format; empty for the running kernel.
std::map<Address, LspciRecord> run_lspci(const std::string& options);

// One gtest failure for each field that differs.
void expect_same(const Function& function, const LspciRecord& record);

}  // namespace vfb::pci::test
