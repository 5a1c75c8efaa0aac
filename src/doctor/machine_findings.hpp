// SPDX-License-Identifier: GPL-2.0-or-later
//
// What explain and doctor both say of the machine as a whole.
#pragma once

#include "iommu/groups.hpp"
#include "report.hpp"
#include "vfio/vfio.hpp"

namespace vfb::doctor {

// `hint`: what to do where interrupts are not remapped (iommu::interrupt_remapping_hint).
void report_interrupts(const iommu::Platform& platform, const std::string& hint, Report& report);
void report_unsafe_options(const iommu::Platform& platform, Report& report);
void report_backend(const vfio::Support& support, Report& report);

}  // namespace vfb::doctor
