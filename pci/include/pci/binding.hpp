// SPDX-License-Identifier: GPL-2.0-or-later
//
// Binding functions to drivers, by driver_override only (Documentation/ABI/testing/sysfs-bus-pci):
// new_id would claim every such card of the host. These calls block on the device: they belong
// into a worker. Nothing here asks whether the function is in use; the caller has proven it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/sys_root.hpp"
#include "pci/address.hpp"

namespace vfb::pci {

// What a function was bound to before, for restore().
struct Binding {
    std::optional<std::string> driver;
    std::string driver_override;  // empty: none
    bool operator==(const Binding&) const = default;
};

// vfio-pci or a variant of it, which all have vfio in their names (mlx5_vfio_pci,
// hisi_acc_vfio_pci); not when there is no driver.
bool is_vfio_driver(const std::optional<std::string>& driver);

Result<Binding> current_binding(const SysRoot& root, const Address& address);

// Binds to `driver` (`vfio-pci` or a vfio variant driver): sets driver_override, unbinds what is
// bound, asks the driver to bind, which gives the reason when it refuses (drivers_probe reports
// success in any case), and verifies the `driver` link. Call it as pci::bind(): std::bind is about.
// Loads nothing: when the driver is missing, the error says which module to load. Returns what was
// there before. Already bound: nothing is written but a missing driver_override. On failure the
// former state is put back.
Result<Binding> bind(const SysRoot& root, const Address& address, const std::string& driver);

// Puts back what bind() found, verified.
Result<> restore(const SysRoot& root, const Address& address, const Binding& binding);

// A VFIO driver for this kind of function, announced by a `vfio_pci:` alias.
struct VariantDriver {
    std::string module;                 // `mlx5_vfio_pci`
    std::optional<std::string> driver;  // its name in bus/pci/drivers; absent: it is not loaded
    bool operator==(const VariantDriver&) const = default;
};
// Those of this kernel that fit a function, the best fit first; none for most functions.
Result<std::vector<VariantDriver>> variant_drivers(const SysRoot& root, const Address& address);

// The VFIO driver to use for a function: a variant driver if modules.alias has a `vfio_pci:` alias
// that fits it best and its module is loaded or built in, else `vfio-pci`.
Result<std::string> best_vfio_driver(const SysRoot& root, const Address& address);

}  // namespace vfb::pci
