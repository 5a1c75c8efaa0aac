// SPDX-License-Identifier: GPL-2.0-or-later
#include "held.hpp"

#include <fmt/format.h>

#include "output/fields.hpp"
#include "output/table.hpp"

namespace vfb::cli {

void tell_held(std::int64_t lease, const proto::Json& reply) {
    if (!member(reply, "held").is_array()) {
        fmt::print(stderr,
                   "vfbroker: lease {} has ended; whether a process still has its functions open "
                   "could not be found out\nhint: vfbroker leases, vfbroker list --state dirty\n",
                   lease);
        return;
    }
    for (const auto& held : elements(reply, "held")) {
        auto holders = joined(held, "holders", ", ");
        make_printable(holders);
        fmt::print(stderr,
                   "vfbroker: lease {} has ended, but {} is still open in {}\n"
                   "hint: it stays dirty, and is leased to nobody, until that process closes it or "
                   "ends\n",
                   lease, text(held, "function"), holders);
    }
}

}  // namespace vfb::cli
