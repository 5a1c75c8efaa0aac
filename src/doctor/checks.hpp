// SPDX-License-Identifier: GPL-2.0-or-later
//
// The checks of doctor, a function each; the table of them is in diagnose.cpp. A check looks at
// what read_host() read and at files below host.root, and says at least one thing.
#pragma once

#include "doctor/doctor.hpp"
#include "report.hpp"

namespace vfb::doctor {

// check_iommu.cpp
void check_firmware_tables(const Host& host, Report& report);
void check_iommu(const Host& host, Report& report);
void check_iommu_groups(const Host& host, Report& report);
void check_interrupt_remapping(const Host& host, Report& report);
void check_unsafe_options(const Host& host, Report& report);
// check_vfio.cpp
void check_modules(const Host& host, Report& report);
void check_backend(const Host& host, Report& report);
void check_lockdown(const Host& host, Report& report);
// check_sriov.cpp
void check_sriov(const Host& host, Report& report);
void check_vf_bars(const Host& host, Report& report);
void check_ari(const Host& host, Report& report);
void check_reset(const Host& host, Report& report);
void check_kernel_messages(const Host& host, Report& report);
// check_memlock.cpp
void check_memlock_units(const Host& host, Report& report);
void check_memlock_guests(const Host& host, Report& report);
// check_conflicts.cpp
void check_network_manager(const Host& host, Report& report);
void check_libvirt(const Host& host, Report& report);
void check_driverctl(const Host& host, Report& report);
void check_vfio_pci_ids(const Host& host, Report& report);
void check_sriov_operator(const Host& host, Report& report);
// check_daemon.cpp
void check_configuration(const Host& host, Report& report);
void check_daemon(const Host& host, Report& report);
void check_functions(const Host& host, Report& report);
void check_drift(const Host& host, Report& report);
void check_unit(const Host& host, Report& report);

// Whether vfbroker is to hand it out: a PF of the configuration or a VF of one. Where no daemon
// tells which those are, every PF and VF.
bool is_ours(const Host& host, const pci::Function& function);
// The process of that name (comm), if there is one.
const Process* find_process(const Host& host, std::string_view name);

}  // namespace vfb::doctor
