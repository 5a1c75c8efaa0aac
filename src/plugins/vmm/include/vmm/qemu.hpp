// SPDX-License-Identifier: GPL-2.0-or-later
//
// Qemu: a running QEMU, by its monitor. With the iommufd backend it gets descriptors (getfd,
// object-add iommufd, device_add); with the group backend it opens the lent node itself.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "vmm/qmp.hpp"
#include "vmm/vmm.hpp"

namespace vfb::vmm {

// The iommufd object that ours is called, where the guest has none yet.
inline constexpr const char* kIommufdId = "vfbroker0";

class Qemu : public Vmm {
public:
    static Result<std::unique_ptr<Vmm>> connect(const std::string& path);
    explicit Qemu(Monitor monitor) : monitor_(std::move(monitor)) {}

    [[nodiscard]] const ProcessId& process() const override { return monitor_.process(); }
    Result<std::uint64_t> pinned_memory(std::size_t more) override;
    Result<> plug(const client::Lease& lease, const std::vector<std::string>& options) override;
    Result<bool> has(const Plugged& plugged) override;
    Result<> unplug(const Plugged& plugged, std::chrono::milliseconds timeout) override;

private:
    Result<proto::Json> execute(const std::string& command, const proto::Json& arguments);
    // The names and types of what is below a path of QOM.
    Result<std::vector<std::pair<std::string, std::string>>> children(const std::string& path);
    Result<std::string> find_or_add_iommufd(const client::Lease& lease);
    Result<proto::Json> typed_options(const std::vector<std::string>& options);
    // Root ports that a device can be plugged into now.
    Result<std::vector<std::string>> free_ports();
    Result<bool> allows_hot_plug(const std::string& port);
    Result<> wait_until_deleted(std::vector<std::string> ids, std::chrono::milliseconds timeout);

    Monitor monitor_;
};

}  // namespace vfb::vmm
