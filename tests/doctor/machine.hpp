// SPDX-License-Identifier: GPL-2.0-or-later
//
// Machine: a host that is as it should be, as a tree of files and as what was read of it. A test
// breaks one thing and looks at one check.
#pragma once

#include <string>
#include <vector>

#include "doctor/doctor.hpp"
#include "tree/tree.hpp"

namespace vfb::doctor::test {

class Machine {
public:
    Machine();

    // A file below the root, as `etc/driverctl.d/0000:01:10.0`.
    void write(const std::string& name, const std::string& text) const;
    void remove(const std::string& name) const;
    void add_process(pid_t pid, const std::string& name, std::vector<std::string> arguments = {});

    // What the check of that name says now.
    [[nodiscard]] std::vector<Finding> of(const std::string& check) const;
    // The only thing that it says.
    [[nodiscard]] Finding one(const std::string& check) const;

    [[nodiscard]] pci::Function& pf() { return host.functions[0]; }
    [[nodiscard]] pci::Function& vf() { return host.functions[1]; }

private:
    tree::TemporaryFolder folder_;
    SysRoot root_;

public:
    DaemonFacts daemon;
    Host host;
};

pci::Address at(const std::string& text);

}  // namespace vfb::doctor::test
