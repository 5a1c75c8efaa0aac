// SPDX-License-Identifier: GPL-2.0-or-later
//
// What libvirt asks of its hook for QEMU domains (https://libvirt.org/hooks.html):
//
//   prepare   leases the domain's functions. The leases are libvirt's own from here on: QEMU is
//             not there yet, and this process ends at once
//   started   makes them QEMU's, so that they end with it even when libvirt is dead by then
//   release   ends them
//   reconnect libvirt was restarted and found QEMU alive: looks whether all is as it should be
//
// Never calls libvirt, which waits for it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/sys_root.hpp"

namespace vfb::libvirt {

struct Call {
    std::string operation;      // `prepare`, `started`, …
    std::string sub_operation;  // `begin`, `end`
};

struct Surroundings {
    const SysRoot& root;
    std::string socket;
    pid_t caller = 0;  // who started the hook: libvirt or a process of it
};

// An Error is to be told, and to end libvirt's operation; but for `reconnect`, as that would kill
// the running domain, and `release`, where it is too late.
Result<> run_hook(const Surroundings& around, const Call& call, std::string_view xml);

// The process of libvirt from which `pid` descends.
Result<pid_t> find_libvirt(const Dir& proc, pid_t pid);

}  // namespace vfb::libvirt
