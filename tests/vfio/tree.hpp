// SPDX-License-Identifier: GPL-2.0-or-later
//
// Tree: a folder with `sys`, `dev` and `proc`, for the tests of this folder.
#pragma once

#include <filesystem>
#include <string>

#include "vfio/vfio.hpp"

namespace vfb::vfio::test {

class Tree {
public:
    Tree();
    ~Tree();
    Tree(const Tree&) = delete;
    Tree& operator=(const Tree&) = delete;

    void write(const std::string& name, const std::string& text) const;
    void link(const std::string& name, const std::string& target) const;
    // A function bound to vfio-pci as `vfioN` in a group, with the device nodes of both backends.
    void add_bound(const std::string& address, unsigned number, unsigned group,
                   const std::string& group_prefix = "") const;
    // A process with one descriptor.
    void add_process(int pid, const std::string& name, int fd, const std::string& target) const;
    [[nodiscard]] std::string dev(const std::string& name) const;
    [[nodiscard]] SysRoot root() const;

private:
    std::filesystem::path folder_;
};

pci::Address at(const std::string& text);

}  // namespace vfb::vfio::test
