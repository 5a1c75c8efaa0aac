// SPDX-License-Identifier: GPL-2.0-or-later
//
// What stands in the way of handing out functions on this host: firmware, kernel, cards, other
// programs, and the daemon itself. Reads only. Reads config space and the whole of procfs: a
// worker's work, or that of `vfbrokerd --doctor` where no daemon runs.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/finding.hpp"
#include "base/sys_root.hpp"
#include "iommu/groups.hpp"
#include "pci/function.hpp"
#include "vfio/vfio.hpp"

namespace vfb::doctor {

// What the daemon knows and the kernel does not tell.
struct DaemonFacts {
    struct Pf {
        std::string name;
        std::optional<pci::Address> address;
        std::string state;  // as io.vfbroker PhysicalFunctionStatus
        unsigned wanted = 0;
        unsigned present = 0;
        std::string problem;
        std::string hint;
    };
    struct Slot {
        std::string subject;  // its address, or the name of its PF and its index
        std::string state;    // as io.vfbroker FunctionState
        std::string problem;
        std::string hint;
    };
    // What the plan of the configuration has for a PF or a pool.
    struct Difference {
        std::string subject;  // the name of the PF or pool
        unsigned count = 0;
        std::string first;   // in words
        bool later = false;  // nothing can be done before a lease ends
    };
    // What is wrong with the files of the configuration.
    struct ConfigFault {
        std::string place;  // `/etc/vfbroker/x.toml:3:1`
        std::string text;
        std::string hint;
    };
    pid_t pid = 0;
    std::string version;
    std::vector<ConfigFault> config_faults;  // empty: the files are in force
    std::string config_in_force;             // what is, in words
    std::vector<Pf> pfs;                     // of the configuration
    std::map<std::string, unsigned> counts;  // of functions in pools, by their state
    std::vector<Slot> troubled;  // the first of those that are stuck, quarantined or dirty
    std::vector<Difference> differences;
    std::string no_plan;  // why none can be made
    std::string no_plan_hint;
};

struct Process {
    pid_t pid = 0;
    std::string name;                    // comm: at most 15 characters
    std::vector<std::string> arguments;  // of programs that run guests only
};

// What all checks look at, read once.
struct Host {
    const SysRoot& root;
    const DaemonFacts* daemon = nullptr;  // null: none runs
    std::vector<pci::Function> functions;
    iommu::Platform platform;
    std::vector<iommu::Group> groups;
    vfio::Support support;
    std::optional<std::vector<std::string>> kernel_log;  // absent: it may not be read
    std::vector<Process> processes;
    // What could not be read, by the name of the check that needs it.
    std::map<std::string, Error> unread;
};
Host read_host(const SysRoot& root, const DaemonFacts* daemon);

// One finding or more for each check, in a fixed order; the names of the checks are in vfbroker(1).
std::vector<Finding> diagnose(const Host& host);

// --- what checks are made of, pure
// Messages of the kernel that are about memory, bus numbers or IOMMU faults of functions, each with
// its remedy. `messages` without their prefixes, in order.
std::vector<Finding> kernel_complaints(const std::vector<std::string>& messages);
// Bytes of guest memory on the command line of QEMU, Cloud Hypervisor or crosvm.
std::optional<std::uint64_t> guest_memory(const std::vector<std::string>& arguments);
// `Max locked memory` of proc_pid_limits(5), the soft limit; nullopt: unlimited, or not said.
std::optional<std::uint64_t> locked_memory_limit(const std::string& limits);
// A value of a unit's section [Service], the last one of its files.
std::optional<std::string> unit_setting(const std::string& unit, const std::string& name);
// PCI functions that a libvirt domain has as managed host devices.
std::vector<pci::Address> managed_host_devices(const std::string& domain_xml);
// `8086:10ca,15b3:101e:…` as vfio-pci.ids takes it: whether it claims the function.
bool ids_claim(const std::string& ids, const pci::Function& function);

}  // namespace vfb::doctor
