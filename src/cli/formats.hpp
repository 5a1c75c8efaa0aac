// SPDX-License-Identifier: GPL-2.0-or-later
//
// Leases as the command lines of the programs that use them. Pure: words in, words out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/lease.hpp"

namespace vfb::cli {

// qemu: -object iommufd and -device vfio-pci; dpdk: -a ADDRESS of the EAL. Of lent nodes only:
// cloud_hypervisor: --device path=…; crosvm: --vfio; stratovirt: -device vfio-pci,host=…;
// kata: --device of what starts its containers.
enum class Format { qemu, dpdk, cloud_hypervisor, crosvm, stratovirt, kata };

// By the name that options have: `cloud-hypervisor`.
std::optional<Format> format_from_string(std::string_view name);

// By the name of the program: `dpdk-testpmd` and its like are DPDK's.
Format format_for(std::string_view program);

// The words for all functions of `leases`, numbered across them: vf0, vf1, …. Devices that come
// with descriptors share one iommufd object: `iommufd`, which the command has already, or vfbroker0
// of the first context. `options` are KEY=VALUE for each device.
std::vector<std::string> device_words(Format format, const std::vector<client::Lease>& leases,
                                      const std::vector<std::string>& options,
                                      const std::optional<std::string>& iommufd = std::nullopt);
// <hostdev> elements of a libvirt domain.
std::string libvirt_hostdevs(const std::vector<client::Lease>& leases);
// The words as one line for a shell, quoted where it must be.
std::string shell_line(const std::vector<std::string>& words);

// `command` with `words` in place of its one word `{}`; Code::invalid when it has none or several.
Result<std::vector<std::string>> fill_in(const std::vector<std::string>& command,
                                         const std::vector<std::string>& words);
// Code::invalid unless it is KEY=VALUE with a key that this program does not set itself.
Result<> check_device_option(std::string_view option);

}  // namespace vfb::cli
