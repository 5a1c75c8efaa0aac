// SPDX-License-Identifier: GPL-2.0-or-later
#include "output/columns.hpp"

#include <algorithm>
#include <array>

namespace vfb::cli {
namespace {

constexpr std::array kList{
    Column{.name = "ADDRESS", .text = "Where it is: domain, bus, device and function number."},
    Column{.name = "ROLE",
           .text = "`PF 3/7`: a physical function with 3 VFs that could have 7; `VF 0`: a virtual "
                   "function, with its index."},
    Column{.name = "DRIVER", .text = "The kernel driver that it is bound to.", .leave_out = 1},
    Column{.name = "NETDEV",
           .text = "Its network interfaces in the namespace of the host.",
           .leave_out = 2},
    Column{.name = "GROUP", .text = "Its IOMMU group.", .leave_out = 5},
    Column{.name = "NUMA", .text = "The NUMA node that it is next to.", .leave_out = 4},
    Column{.name = "POOL", .text = "The pool that it is leased from."},
    Column{.name = "STATE", .text = "What it is up to: see `vfbroker help states`."},
    Column{.name = "LEASE", .text = "The number of the lease that has it: see `vfbroker leases`."},
    Column{.name = "DEVICE",
           .text = "Maker and model; the PCI ids where the database has no name.",
           .least = 12,
           .leave_out = 3},
};

constexpr std::array kPool{
    Column{.name = "POOL", .text = "Its name in the configuration."},
    Column{.name = "TOTAL", .text = "How many functions it has."},
    Column{.name = "CLEAN", .text = "How many of them are free to lease."},
    Column{.name = "LEASED", .text = "How many an owner has."},
    Column{.name = "PREPARING",
           .text = "How many are being created, bound or scrubbed.",
           .leave_out = 3},
    Column{.name = "DIRTY", .text = "How many were released and are open still.", .leave_out = 1},
    Column{.name = "QUARANTINED", .text = "How many could not be proven clean.", .leave_out = 1},
    Column{.name = "STUCK", .text = "How many the kernel has not come back from.", .leave_out = 1},
    Column{.name = "ABSENT", .text = "How many are not in the machine.", .leave_out = 2},
    Column{.name = "DRAINED",
           .text = "How many are not leased from for the time being: see `vfbroker drain`.",
           .leave_out = 2},
    Column{.name = "BACKEND",
           .text = "How VFIO is reached; `any`: iommufd where the kernel has it, else group.",
           .leave_out = 4},
    Column{.name = "ALLOWED", .text = "Whether you may lease from it."},
};

constexpr std::array kLeases{
    Column{.name = "LEASE", .text = "Its number."},
    Column{.name = "POOL", .text = "The pool that its functions are of."},
    Column{.name = "OWNER",
           .text = "Whose end ends it: a process or a connection, with the process id; `guest`: "
                   "it stays until it is released.",
           .leave_out = 1},
    Column{.name = "GUEST", .text = "What it serves, as whoever asked for it said."},
    Column{.name = "UID", .text = "The user that it belongs to.", .leave_out = 2},
    Column{.name = "BACKEND", .text = "How VFIO is reached: iommufd or group.", .leave_out = 5},
    Column{.name = "SINCE", .text = "When it began, UTC.", .leave_out = 3},
    Column{.name = "FUNCTION", .text = "A function of it; `(lost)`: it went away under the lease."},
    Column{.name = "GENERATION",
           .text = "Counts the leases of that function: see `vfbroker release --generation`.",
           .leave_out = 6},
    Column{.name = "ATTRIBUTES",
           .text = "What the lease asked for, and the rest as it was read back.",
           .least = 12,
           .leave_out = 4},
};

constexpr std::array kStatus{
    Column{.name = "PF", .text = "Its name in the configuration."},
    Column{.name = "ADDRESS", .text = "Where it is."},
    Column{.name = "VFS", .text = "How many VFs are there."},
    Column{.name = "WANTED",
           .text = "How many there should be; `(configured 4)`: the configuration asks for 4, and "
                   "`vfbroker resize` for another number."},
    Column{.name = "STATE", .text = "What it is up to: see `vfbroker help states`."},
};

constexpr std::array kLog{
    Column{.name = "TIME", .text = "When it was, UTC."},
    Column{.name = "EVENT",
           .text =
               "`granted`: a lease began; `transferred`: it has another owner; `released`: it "
               "ended; `denied`: somebody asked for what he may not have; `despite`: a function "
               "was taken although the host used it; `applied`: the configuration was applied."},
    Column{.name = "LEASE", .text = "The number of the lease."},
    Column{.name = "FUNCTION", .text = "The functions that it is about.", .least = 12},
    Column{.name = "POOL", .text = "The pool that they are of.", .leave_out = 3},
    Column{.name = "GUEST", .text = "What the lease serves.", .least = 4, .leave_out = 2},
    Column{.name = "USER", .text = "Whose lease it is, or who asked.", .least = 6},
    Column{.name = "PROCESS",
           .text = "The program that asked for it and its process id; of the owner, where nobody "
                   "asked.",
           .least = 8,
           .leave_out = 1},
};

constexpr std::array kMembers{
    Column{.name = "MEMBER", .text = "A function of the IOMMU group."},
    Column{.name = "DRIVER", .text = "The kernel driver that it is bound to."},
    Column{.name = "DEVICE", .text = "Maker and model.", .least = 12, .leave_out = 1},
    Column{.name = "USED BY THE HOST", .text = "What the host uses it for.", .least = 16},
};

constexpr std::array kBridges{
    Column{.name = "BRIDGE", .text = "A bridge on the way up to the root, the nearest first."},
    Column{.name = "KIND", .text = "Which kind of port or bridge it is.", .least = 10},
    Column{.name = "GROUP", .text = "Its IOMMU group.", .leave_out = 2},
    Column{.name = "ACS",
           .text = "Whether it has Access Control Services; `?`: that cannot be read."},
    Column{.name = "SV", .text = "ACS source validation: on, off, absent, or `?`."},
    Column{.name = "RR", .text = "ACS request redirect."},
    Column{.name = "CR", .text = "ACS completion redirect."},
    Column{.name = "UF", .text = "ACS upstream forwarding."},
    Column{.name = "ISOLATES", .text = "Whether what is below it is isolated."},
    Column{.name = "DEVICE", .text = "Maker and model.", .least = 10, .leave_out = 1},
};

constexpr std::array kLease{
    Column{.name = "FUNCTION", .text = "A function of the lease."},
    Column{.name = "GENERATION", .text = "Counts the leases of that function."},
    Column{.name = "NODE", .text = "The device node that was lent to you."},
};

constexpr std::array kAttach{
    Column{.name = "FUNCTION", .text = "A function of the lease."},
    Column{.name = "GENERATION", .text = "Counts the leases of that function."},
    Column{.name = "DEVICE", .text = "What the VMM calls it."},
};

constexpr std::array kTables{
    TableKind{.name = "list", .columns = kList},
    TableKind{.name = "pool", .columns = kPool},
    TableKind{.name = "leases", .columns = kLeases},
    TableKind{.name = "lease", .columns = kLease},
    TableKind{.name = "attach", .columns = kAttach},
    TableKind{.name = "status", .columns = kStatus},
    TableKind{.name = "explain: group", .columns = kMembers},
    TableKind{.name = "explain: bridges", .columns = kBridges},
    TableKind{.name = "log", .columns = kLog},
};

}  // namespace

std::span<const TableKind> table_kinds() {
    return kTables;
}

std::span<const Column> columns_of(std::string_view table) {
    const auto found = std::ranges::find(kTables, table, &TableKind::name);
    return found == kTables.end() ? std::span<const Column>{} : found->columns;
}

}  // namespace vfb::cli
