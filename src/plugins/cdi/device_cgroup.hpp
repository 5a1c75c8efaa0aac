// SPDX-License-Identifier: GPL-2.0-or-later
//
// Which devices a control group may open. In version 2 of control groups a BPF program decides, and
// everyone who has a say attaches one of his own: all must agree. So one that allows more takes the
// place of each that is there (bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE).
#pragma once

#include <linux/bpf.h>
#include <sys/types.h>

#include <vector>

#include "base/result.hpp"
#include "base/sys_root.hpp"
#include "state.hpp"

namespace vfb::cdi {

// Lets the container's control group read and write these character devices, besides what it may
// already. Code::unsupported with version 1 of control groups.
Result<> allow_devices(const SysRoot& root, const State& container,
                       const std::vector<dev_t>& devices);

// The same program, but that it first allows these.
std::vector<bpf_insn> allow_first(const std::vector<dev_t>& devices,
                                  const std::vector<bpf_insn>& program);

}  // namespace vfb::cdi
