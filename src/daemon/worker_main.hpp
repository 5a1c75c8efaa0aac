// SPDX-License-Identifier: GPL-2.0-or-later
//
// The worker process: makes the calls that can block on a device, so that the daemon never does.
// One process per PF (and one for the inventory), the same program started with --worker.
//
// Wire, on a socketpair, with the framing of proto: {"id":N,"operation":...,"parameters":{...}} ->
// {"id":N,"parameters":{...}[,"continues":true]} or {"id":N,"error":{...}}, in any order: every
// operation runs in a thread of its own, because an FLR is a 100 ms sleep and one stuck function
// must not hold up the others of its PF.
#pragma once

#include "base/sys_root.hpp"
#include "base/unique_fd.hpp"

namespace vfb::daemon {

// Serves `socket` until the daemon closes it; does not return. Operations under way then are left
// to the kernel: the process ends as soon as it lets it.
[[noreturn]] void run_worker(UniqueFd socket, const SysRoot& root);

}  // namespace vfb::daemon
