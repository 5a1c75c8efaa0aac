// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the tests inside the emulated machine share: VFs bound to vfio-pci, and other processes.
#pragma once

#include <gmock/gmock.h>

#include <functional>
#include <vector>

#include "base/sys_root.hpp"
#include "pci/address.hpp"
#include "vfio/vfio.hpp"

namespace vfb::vfio::test {

pci::Address at(std::string_view text);
// The kernel with iommufd and device nodes.
bool full_kernel();
std::vector<Backend> backends();

// A process that does something to a device, and goes on holding it.
class Other {
public:
    // `take` runs in the child; it must keep what it opened (move it into a static). Returns when
    // it has returned.
    explicit Other(const std::function<bool()>& take);
    ~Other() { end(); }
    Other(const Other&) = delete;
    Other& operator=(const Other&) = delete;
    // Ends it and waits until the kernel has closed what it held.
    void end();
    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] bool took() const { return took_; }

private:
    pid_t pid_;
    bool took_ = false;
};

// VFs of a PF, all bound to vfio-pci, for the time of a test.
class WithVfs : public testing::Test {
protected:
    void SetUp() override;
    void TearDown() override;
    virtual pci::Address pf() const { return at("0000:01:00.0"); }

    SysRoot root = SysRoot::host().value();
    std::vector<pci::Address> vfs;
};

}  // namespace vfb::vfio::test
