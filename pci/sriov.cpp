// SPDX-License-Identifier: GPL-2.0-or-later
#include "pci/sriov.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <thread>
#include <utility>

#include "base/undo.hpp"
#include "pci/uevents.hpp"
#include "sysfs.hpp"

namespace vfb::pci {
namespace {

constexpr const char* kNumVfs = "sriov_numvfs";
constexpr const char* kTotalVfs = "sriov_totalvfs";
constexpr const char* kAutoprobe = "sriov_drivers_autoprobe";
constexpr const char* kMsixCount = "sriov_vf_msix_count";

// What an errno of a write to sriov_numvfs means (drivers/pci/iov.c and the PF drivers).
struct Cause {
    int errnum;
    Code code;
    const char* reason;
    const char* hint;
};
constexpr Cause kCauses[] = {
    {EBUSY, Code::busy, "it has VFs already, or its driver is resetting it",
     "the number can only be changed by way of 0, which removes all VFs"},
    {ERANGE, Code::invalid, "it cannot have so many VFs", "read sriov_totalvfs"},
    {ENOMEM, Code::exhausted, "there is no MMIO space or there are no bus numbers for its VFs",
     "enable SR-IOV and decoding above 4G in the firmware, or boot with pci=realloc (MMIO space) "
     "or "
     "pci=assign-busses (bus numbers); dmesg says which is missing"},
    {ENOSPC, Code::exhausted, "its firmware has no MSI-X vectors or queues left for so many VFs",
     "ask for fewer VFs, or raise the number in the firmware of the device"},
    {EIO, Code::failed, "the device or its firmware refused",
     "is SR-IOV enabled in the firmware of the device? dmesg says more"},
    {EINVAL, Code::invalid, "its driver refused this number of VFs",
     "ask for fewer VFs; dmesg says more"},
    {EAGAIN, Code::busy, "its driver is not ready", "try again when the driver is up"},
    {EPERM, Code::denied, "its driver or the kernel's lockdown forbids it", "dmesg says more"},
    {EOPNOTSUPP, Code::unsupported, "its driver cannot create VFs in its present mode",
     "bring its network device up, leave DCB and switchdev mode; dmesg says more"},
    {ETIMEDOUT, Code::timeout, "the device did not answer its driver", "dmesg says more"},
};

// ENOENT is the kernel's answer when there is nobody to ask.
Error no_driver(const Dir& dir, std::string operation, const Address& pf) {
    const auto driver = dir.link_name("driver");
    if (driver && *driver)
        return fail(Code::unsupported, std::move(operation), pf.str(),
                    "its driver " + **driver + " cannot create VFs",
                    "bind it to the driver of its vendor; vfio-pci needs its module option "
                    "enable_sriov=1")
            .error();
    return fail(Code::unsupported, std::move(operation), pf.str(), "no driver is bound to it",
                "load the driver of the PF: it creates the VFs")
        .error();
}

Error explain(const Dir& dir, const Error& failed, std::string operation, const Address& pf) {
    if (failed.errnum == ENOENT && dir.exists(kNumVfs))
        return no_driver(dir, std::move(operation), pf);
    auto error =
        fail_errno(failed.errnum, std::move(operation), pf.str(), {}, "dmesg says more").error();
    const auto cause = std::ranges::find(kCauses, failed.errnum, &Cause::errnum);
    if (cause == std::end(kCauses)) return error;
    error.code = cause->code;
    error.reason = cause->reason;
    error.hint = cause->hint;
    return error;
}

std::vector<Address> addresses_of(const std::vector<VirtualFunction>& vfs) {
    std::vector<Address> addresses;
    addresses.reserve(vfs.size());
    for (const VirtualFunction& vf : vfs) addresses.push_back(vf.address);
    return addresses;
}

Result<> check_request(const Dir& dir, const Address& pf, unsigned count,
                       const std::string& operation) {
    const auto total = dir.read_number_optional(kTotalVfs);
    if (!total) return std::unexpected(total.error());
    if (!*total)
        return fail(Code::unsupported, operation, pf.str(),
                    "it has no SR-IOV capability, or the kernel no CONFIG_PCI_IOV");
    if (count == 0)
        return fail(Code::invalid, operation, pf.str(), "the number must be at least 1");
    if (std::cmp_greater(count, **total))
        return fail(Code::invalid, operation, pf.str(),
                    fmt::format("it can have {} at most", **total));
    VFB_TRY(const auto vfs, read_virtual_functions(dir));
    if (!vfs.empty())
        return fail(Code::busy, operation, pf.str(), fmt::format("it has {} already", vfs.size()),
                    "the number can only be changed by way of 0, which removes all VFs");
    return {};
}

// Drivers create VFs before the write returns, with few exceptions; those announce them.
Result<std::vector<VirtualFunction>> wait_for_vfs(const Dir& dir, unsigned count,
                                                  std::optional<UeventMonitor>& monitor,
                                                  const Deadline& deadline) {
    using namespace std::chrono_literals;
    // One missed event must not cost the whole time limit.
    constexpr auto kStep = 100ms;
    for (;;) {
        VFB_TRY(auto vfs, read_virtual_functions(dir));
        if (vfs.size() >= count || deadline.expired()) return vfs;
        // The kernel is done, and it is fewer.
        if (const auto enabled = dir.read_number(kNumVfs); enabled && *enabled < count) return vfs;
        const Deadline step(std::min<std::chrono::milliseconds>(
            kStep, std::chrono::milliseconds(deadline.poll_timeout())));
        if (!monitor) {
            std::this_thread::sleep_for(kStep / 10);
        } else if (auto event = monitor->wait(step); !event) {
            return std::unexpected(std::move(event).error());
        }
    }
}

}  // namespace

Result<std::vector<Address>> create_vfs(const SysRoot& root, const Address& pf, unsigned count,
                                        std::chrono::milliseconds timeout) {
    const auto operation = fmt::format("create {} VFs on {}", count, pf);
    const Deadline deadline(timeout);
    VFB_TRY(const auto dir, open_function(root, pf, operation));
    VFB_CHECK(check_request(dir, pf, count, operation));
    // Listen before anything can be announced.
    std::optional<UeventMonitor> monitor;
    if (root.is_host()) {
        VFB_TRY(monitor, UeventMonitor::open());
    }

    Undo undo([](const Error&) {});  // what cannot be undone stands in the error that is returned
    VFB_TRY(const auto autoprobe, dir.read_number(kAutoprobe));
    if (autoprobe != 0) {
        undo.add([&dir, autoprobe] { return dir.write(kAutoprobe, std::to_string(autoprobe)); });
        if (auto written = dir.write(kAutoprobe, "0"); !written)
            return undo.fail(std::move(written).error());
    }
    if (auto written = dir.write(kNumVfs, std::to_string(count)); !written)
        return undo.fail(explain(dir, written.error(), operation, pf));
    undo.add([&dir] { return dir.write(kNumVfs, "0"); });
    auto vfs = wait_for_vfs(dir, count, monitor, deadline);
    if (!vfs) return undo.fail(std::move(vfs).error());
    if (vfs->size() < count) {
        const bool late = deadline.expired();
        const auto reason = fmt::format("only {} came{}", vfs->size(),
                                        late ? fmt::format(" in {} ms", timeout.count()) : "");
        return undo.fail(fail(late ? Code::timeout : Code::exhausted, operation, pf.str(), reason,
                              "ask for fewer VFs; dmesg says more")
                             .error());
    }
    undo.commit();
    return addresses_of(*vfs);
}

Result<> remove_vfs(const SysRoot& root, const Address& pf) {
    const auto operation = fmt::format("remove the VFs of {}", pf);
    VFB_TRY(const auto dir, open_function(root, pf, operation));
    VFB_TRY(const auto before, read_virtual_functions(dir));
    if (before.empty()) return {};
    if (auto written = dir.write(kNumVfs, "0"); !written)
        return std::unexpected(explain(dir, written.error(), operation, pf));
    VFB_TRY(const auto after, read_virtual_functions(dir));
    if (!after.empty())
        return fail(Code::failed, operation, pf.str(),
                    fmt::format("{} of them are still there", after.size()), "dmesg says more");
    return {};
}

Result<bool> read_autoprobe(const SysRoot& root, const Address& pf) {
    VFB_TRY(const auto dir, open_function(root, pf, fmt::format("read {} of {}", kAutoprobe, pf)));
    VFB_TRY(const auto value, dir.read_number(kAutoprobe));
    return value != 0;
}

Result<> write_autoprobe(const SysRoot& root, const Address& pf, bool on) {
    VFB_TRY(const auto dir, open_function(root, pf, fmt::format("set {} of {}", kAutoprobe, pf)));
    return dir.write(kAutoprobe, on ? "1" : "0");
}

Result<> set_msix_vectors(const SysRoot& root, const Address& pf, const Address& vf,
                          unsigned count) {
    const auto operation = fmt::format("give {} {} MSI-X vectors", vf, count);
    VFB_TRY(const auto dir, open_function(root, vf, operation));
    VFB_TRY(const auto physical, open_function(root, pf, operation));
    VFB_TRY(const auto driver, physical.link_name("driver"));
    const auto unsupported = [&] {
        return fail(Code::unsupported, operation, vf.str(),
                    driver ? "not supported by " + *driver : "no driver is bound to its PF",
                    "leave msix_vectors out of the pool");
    };
    if (!dir.exists(kMsixCount)) return unsupported();
    auto written = dir.write(kMsixCount, std::to_string(count));
    if (written) return {};
    if (written.error().errnum == EOPNOTSUPP) return unsupported();
    const auto total = physical.read_number_optional("sriov_vf_total_msix");
    return fail_errno(written.error().errnum, operation, vf.str(),
                      total && *total ? fmt::format("its PF has {} for all its VFs", **total) : "",
                      "ask for fewer, or have fewer VFs");
}

Result<std::vector<Address>> list_vfs(const SysRoot& root, const Address& pf) {
    VFB_TRY(const auto dir, open_function(root, pf, fmt::format("list the VFs of {}", pf)));
    VFB_TRY(const auto vfs, read_virtual_functions(dir));
    return addresses_of(vfs);
}

}  // namespace vfb::pci
