// SPDX-License-Identifier: GPL-2.0-or-later
//
// Creating and removing VFs (Documentation/PCI/pci-iov-howto.rst, drivers/pci/iov.c).
// These calls block, creation about 100 ms, removal 1 s and for ever when a VF is open: they belong
// into a worker.
#pragma once

#include <chrono>
#include <vector>

#include "base/result.hpp"
#include "base/sys_root.hpp"
#include "pci/address.hpp"

namespace vfb::pci {

// Creates `count` VFs on a PF that has none: turns sriov_drivers_autoprobe off first (a kernel
// driver would otherwise probe each VF), writes sriov_numvfs, waits by event until every virtfnN is
// there, and reads back how many there really are. Returns their addresses in order of index.
//
// Errors, each with remedy: the PF has VFs already (Code::busy: nothing is ever zeroed here), more
// than total (Code::invalid), no PF driver or one without SR-IOV, no MMIO space or bus numbers, no
// MSI-X vectors, fewer VFs than asked for (Code::exhausted; those that came are removed again).
// sriov_drivers_autoprobe is put back to what it was when creation fails. On success it stays off:
// an idle VF must not get a kernel driver, and a binding by driver_override works all the same.
Result<std::vector<Address>> create_vfs(const SysRoot& root, const Address& pf, unsigned count,
                                        std::chrono::milliseconds timeout);

// Removes all VFs of a PF. The caller must have proven that none is in use: the write blocks while
// a VF is open, and nothing can interrupt it.
Result<> remove_vfs(const SysRoot& root, const Address& pf);

// sriov_drivers_autoprobe: whether VFs that are created get a kernel driver.
Result<bool> read_autoprobe(const SysRoot& root, const Address& pf);
Result<> write_autoprobe(const SysRoot& root, const Address& pf, bool on);

// Gives a VF, to which no driver is bound, that many MSI-X vectors; 0: as many as its driver gives
// it by itself. Nothing tells the number back but the VF's capability, when a driver has it again.
// Code::unsupported names the PF's driver.
Result<> set_msix_vectors(const SysRoot& root, const Address& pf, const Address& vf,
                          unsigned count);

// The VFs that are there now, in order of index (virtfnN links; takes no lock).
Result<std::vector<Address>> list_vfs(const SysRoot& root, const Address& pf);

}  // namespace vfb::pci
