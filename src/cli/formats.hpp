// SPDX-License-Identifier: GPL-2.0-or-later
//
// Leases as the command lines of the programs that use them. Pure: words in, words out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "client/lease.hpp"

namespace vfb::cli {

// qemu: -object iommufd and -device vfio-pci; dpdk: -a ADDRESS of the EAL.
enum class Format { qemu, dpdk };

// By the name of the program: `dpdk-testpmd` and its like are DPDK's.
Format format_for(std::string_view program);

// The words for all functions of `leases`, numbered across them: vf0, vf1, … and, one for each
// lease that came with descriptors, vfbroker0, vfbroker1, …. `options` are KEY=VALUE for each
// device.
std::vector<std::string> device_words(Format format, const std::vector<client::Lease>& leases,
                                      const std::vector<std::string>& options);
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
