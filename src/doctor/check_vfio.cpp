// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "checks.hpp"
#include "machine_findings.hpp"

namespace vfb::doctor {

void check_modules(const Host& host, Report& report) {
    if (!host.root.sys().exists("bus/pci/drivers/vfio-pci"))
        return report.fail("the driver vfio-pci is not there",
                           "modprobe vfio-pci; a file in modules-load.d with that name loads it at "
                           "every boot");
    report.pass("the driver vfio-pci is there");
}

void check_backend(const Host& host, Report& report) {
    report_backend(host.support, report);
}

// `none [integrity] confidentiality`
void check_lockdown(const Host& host, Report& report) {
    const auto text = host.root.sys().read("kernel/security/lockdown");
    if (!text) return report.pass("this kernel does not lock itself down");
    const auto begin = text->find('[');
    const auto end = text->find(']');
    const std::string mode =
        begin < end && end != std::string::npos ? text->substr(begin + 1, end - begin - 1) : *text;
    if (mode == "none") return report.pass("the kernel is not locked down");
    report.note(fmt::format("the kernel is locked down ({}): it loads signed modules only, and "
                            "lets no program write to config space",
                            mode),
                "VFIO works all the same; sign modules that you build yourself");
}

}  // namespace vfb::doctor
