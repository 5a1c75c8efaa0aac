// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/states.hpp"

#include <array>

namespace vfb::cli {
namespace {

constexpr std::array kFunctions{
    State{.name = "unmanaged", .text = "It is in no pool."},
    State{.name = "absent", .text = "The configuration has it, the machine has not."},
    State{.name = "preparing", .text = "It is being created, bound or scrubbed."},
    State{.name = "clean", .text = "It is proven clean and free to lease."},
    State{.name = "leased", .text = "An owner has it."},
    State{.name = "dirty",
          .text = "It was released, and a process still has it open; it is scrubbed when that "
                  "process closes it or ends, and `vfbroker show` names the process."},
    State{.name = "quarantined",
          .text = "It could not be proven clean, so nobody gets it; `vfbroker explain` says why, "
                  "and what to do."},
    State{.name = "stuck",
          .text = "A call of the kernel on it has not come back. So is one whose last owner hides "
                  "a descriptor of it, in a message that nobody reads or in an io_uring."},
};

constexpr std::array kPfs{
    State{.name = "ready", .text = "It is as the configuration says."},
    State{.name = "differs",
          .text = "It is in use, but not as the configuration says; why is told below."},
    State{.name = "applying", .text = "It is being set up, or its VFs are created or removed."},
    State{.name = "missing", .text = "No function of this machine is the one that is configured."},
    State{.name = "failed", .text = "It could not be made what the configuration says."},
    State{.name = "stuck", .text = "A call of the kernel on it has not come back."},
};

constexpr std::array kVerdicts{
    State{.name = "available", .text = "It can be leased now."},
    State{.name = "not-allowed", .text = "Others may lease it, you may not."},
    State{.name = "drained", .text = "It is kept from being leased: see `vfbroker drain`."},
    State{.name = "leased", .text = "An owner has it."},
    State{.name = "preparing", .text = "It is being created, bound or scrubbed."},
    State{.name = "dirty", .text = "It was released, and a process still has it open."},
    State{.name = "quarantined", .text = "It could not be proven clean."},
    State{.name = "stuck", .text = "A call of the kernel on it has not come back."},
    State{.name = "in-use", .text = "The host uses it."},
    State{.name = "not-viable", .text = "The IOMMU does not isolate it."},
    State{.name = "no-pool", .text = "It could be leased, but is in no pool."},
    State{.name = "not-leasable", .text = "It is of a kind that is never handed out."},
};

constexpr std::array kStateKinds{
    StateKind{.title = "Functions (list, show, pool)", .states = kFunctions},
    StateKind{.title = "Physical functions (status)", .states = kPfs},
    StateKind{.title = "Verdicts (explain --json)", .states = kVerdicts},
};

}  // namespace

std::span<const State> function_states() {
    return kFunctions;
}

std::span<const State> pf_states() {
    return kPfs;
}

std::span<const State> verdict_states() {
    return kVerdicts;
}

std::span<const StateKind> state_kinds() {
    return kStateKinds;
}

}  // namespace vfb::cli
