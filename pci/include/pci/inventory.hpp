// SPDX-License-Identifier: GPL-2.0-or-later
//
// Reading PCI functions: sysfs for what the kernel knows, libpci for capabilities and names.
//
// None of these calls reads an attribute whose reader takes the device lock (`sriov_numvfs`,
// `driver_override`): such a read blocks while another process disables VFs that are in use. Config
// space reads may still wait for a suspended parent, so the daemon calls these in a worker.
//
// libpci's error handler is replaced: whatever it complains of becomes an Error (libpci would call
// exit(3)).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/result.hpp"
#include "base/sys_root.hpp"
#include "pci/function.hpp"

namespace vfb::pci {

// What could not be read of a function that was nevertheless reported, or why one was left out.
struct ReadProblem {
    Address address;
    Error error;
};

class Inventory {
public:
    // `root` must outlive this. `names` false leaves the pci.ids database unread (fields *_name
    // stay empty). One thread at a time.
    explicit Inventory(const SysRoot& root, bool names = true);
    ~Inventory();
    Inventory(const Inventory&) = delete;
    Inventory& operator=(const Inventory&) = delete;

    // Every function of the machine, in order of address. A function that vanishes while it is
    // being read is left out silently, and so is a VF between its `add` and its `change` event,
    // while it has no link to its PF; one with unreadable attributes is reported with what could be
    // read, and a problem is added. Code::unsupported when the kernel has no PCI. A large machine
    // is read by up to four threads, which are gone when this returns.
    Result<std::vector<Function>> read_all(std::vector<ReadProblem>* problems = nullptr);
    // Code::not_found when there is no such function (or it vanished meanwhile).
    Result<Function> read(const Address& address, std::vector<ReadProblem>* problems = nullptr);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace vfb::pci
