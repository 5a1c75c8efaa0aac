// SPDX-License-Identifier: GPL-2.0-or-later
#include "pci/binding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "base/undo.hpp"
#include "sysfs.hpp"

namespace vfb::pci {
namespace {

constexpr const char* kOverride = "driver_override";
constexpr std::string_view kNone = "(null)";  // what the kernel prints for no override

std::string module_of(std::string driver) {
    std::ranges::replace(driver, '-', '_');
    return driver;
}

// A driver's folder, of which `bind` and `unbind` take an address.
std::string driver_file(const std::string& driver, const char* file) {
    return "bus/pci/drivers/" + driver + "/" + file;
}

Result<> check_driver(const SysRoot& root, const Address& address, const std::string& driver,
                      const std::string& operation) {
    const bool is_name = !driver.empty() && driver != "." && driver != ".." && driver != kNone &&
                         std::ranges::none_of(driver, [](unsigned char c) {
                             return c <= 0x20 || c >= 0x7f || c == '/';
                         });
    if (!is_name)
        return fail(Code::invalid, operation, address.str(), "this is not a driver's name");
    if (!root.sys().exists("bus/pci/drivers/" + driver))
        return fail(Code::not_found, operation, address.str(), "the driver is not loaded",
                    "modprobe " + module_of(driver));
    return {};
}

// Takes the function from the driver that holds it. Named, so that one which another program has
// just bound is left alone; that it is bound to none already is what was wanted.
Result<> unbind(const SysRoot& root, const Address& address, const std::string& driver) {
    auto written = root.sys().write(driver_file(driver, "unbind"), address.str());
    if (!written && written.error().errnum == ENODEV) return {};
    return written;
}

// Asks one driver to take the function and makes sure that it did. Unlike drivers_probe this
// answers with the errno of the driver.
Result<> attach(const SysRoot& root, const Dir& dir, const Address& address,
                const std::string& driver, const std::string& operation) {
    auto written = root.sys().write(driver_file(driver, "bind"), address.str());
    VFB_TRY(const auto bound, dir.link_name("driver"));
    if (bound == driver) return {};
    if (bound)
        return fail(Code::busy, operation, address.str(),
                    "driver " + *bound + " took it at the same time",
                    "which program binds drivers here? driverctl and udev rules do");
    if (written)
        return fail(Code::failed, operation, address.str(), "the driver did not take it",
                    "dmesg says more");
    Error error = std::move(written).error();
    if (error.errnum == EINVAL && driver.starts_with("vfio") && !dir.exists("iommu_group")) {
        return fail(Code::not_viable, operation, address.str(),
                    "it is in no IOMMU group, so no IOMMU isolates it",
                    "enable the IOMMU in the firmware and on the kernel's command line");
    }
    return fail_errno(error.errnum, operation, address.str(), "the driver refused it",
                      "dmesg says more");
}

Result<> set_override(const Dir& dir, const std::string& driver) {
    return dir.write(kOverride, driver.empty() ? std::string_view("\n") : driver);
}

Result<Binding> read_binding(const Dir& dir) {
    Binding binding;
    VFB_TRY(binding.driver, dir.link_name("driver"));
    VFB_TRY(auto text, dir.read(kOverride));
    if (text != kNone) binding.driver_override = std::move(text);
    return binding;
}

// Makes `wanted` of whatever is. The override is set to the driver first: a VF whose PF has
// sriov_drivers_autoprobe off can be bound to nothing else.
Result<> establish(const SysRoot& root, const Dir& dir, const Address& address,
                   const Binding& wanted, const std::string& operation) {
    VFB_TRY(const auto now, read_binding(dir));
    if (now.driver != wanted.driver) {
        if (now.driver) VFB_CHECK(unbind(root, address, *now.driver));
        if (wanted.driver) {
            VFB_CHECK(check_driver(root, address, *wanted.driver, operation));
            VFB_CHECK(set_override(dir, *wanted.driver));
            VFB_CHECK(attach(root, dir, address, *wanted.driver, operation));
        }
    }
    return {};
}

}  // namespace

bool is_vfio_driver(const std::optional<std::string>& driver) {
    return driver && driver->contains("vfio");
}

Result<Binding> current_binding(const SysRoot& root, const Address& address) {
    VFB_TRY(const auto dir,
            open_function(root, address, fmt::format("read the driver of {}", address)));
    return read_binding(dir);
}

Result<Binding> bind(const SysRoot& root, const Address& address, const std::string& driver) {
    const auto operation = fmt::format("bind {} to {}", address, driver);
    VFB_TRY(const auto dir, open_function(root, address, operation));
    VFB_CHECK(check_driver(root, address, driver, operation));
    VFB_TRY(const auto before, read_binding(dir));
    if (before == Binding{.driver = driver, .driver_override = driver}) return before;

    Undo undo([](const Error&) {});  // what cannot be undone stands in the error that is returned
    undo.add([&] { return restore(root, address, before); });
    if (auto set = set_override(dir, driver); !set) return undo.fail(std::move(set).error());
    const Binding wanted{.driver = driver, .driver_override = driver};
    if (auto bound = establish(root, dir, address, wanted, operation); !bound)
        return undo.fail(std::move(bound).error());
    undo.commit();
    return before;
}

Result<> restore(const SysRoot& root, const Address& address, const Binding& binding) {
    const auto operation = fmt::format("restore the driver of {} ({})", address,
                                       binding.driver ? *binding.driver : "none");
    VFB_TRY(const auto dir, open_function(root, address, operation));
    // Whatever becomes of the driver, the override must not stay ours.
    auto bound = establish(root, dir, address, binding, operation);
    VFB_TRY(const auto now, read_binding(dir));
    if (now.driver_override != binding.driver_override)
        VFB_CHECK(set_override(dir, binding.driver_override));
    VFB_CHECK(std::move(bound));
    VFB_TRY(const auto after, read_binding(dir));
    if (after == binding) return {};
    return fail(Code::failed, operation, address.str(),
                fmt::format("it is bound to {} with driver_override '{}' now",
                            after.driver.value_or("none"), after.driver_override),
                "which program binds drivers here? driverctl and udev rules do");
}

}  // namespace vfb::pci
