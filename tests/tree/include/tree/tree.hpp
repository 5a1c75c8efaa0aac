// SPDX-License-Identifier: GPL-2.0-or-later
//
// Tree: writes functions as the kernel shows them in sysfs, into a folder that SysRoot::at() takes:
// attributes, links, configuration space, IOMMU groups, netdevs, slots, drivers.
//
// A function is described by the value that pci::Inventory should read of it, so that a test can
// compare the two. Trees are for reading: nothing happens when they are written to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "base/sys_root.hpp"
#include "pci/function.hpp"

namespace vfb::tree {

struct FunctionSpec {
    // Names (*_name) are not written: they are not in sysfs. `parent` must have been added before,
    // a PF before its VFs; the virtfnN links and `sriov.vfs` follow from the VFs.
    pci::Function function;

    // Bits of the ACS Control register (linux/pci_regs.h); absent: no ACS capability.
    std::optional<std::uint16_t> acs;
    bool ari = false;  // ARI capability, or ARI forwarding of a bridge
    std::string driver_override;
    // Of a bridge.
    std::uint8_t secondary = 0;
    std::uint8_t subordinate = 0;
    // TotalVFs of the capability; sriov.total, what the driver allows, may be less. The capability
    // is that of `function.sriov`, whose fields must all be set.
    std::uint16_t total_vfs = 0;
};

// 4096 bytes for PCIe, 256 for conventional PCI.
std::vector<std::uint8_t> config_bytes(const FunctionSpec& spec);

class Tree {
public:
    // `path` is created; it must not hold a tree yet.
    static Result<Tree> create(const std::string& path);

    Result<> add(const FunctionSpec& spec);
    // Reserved regions and type of a group that has members.
    Result<> describe_group(std::uint32_t group, const std::string& type,
                            const std::string& reserved_regions);

    [[nodiscard]] const std::string& path() const { return path_; }
    // Folder of a function that was added, below path().
    [[nodiscard]] Result<std::string> folder(const pci::Address& address) const;

private:
    explicit Tree(std::string path) : path_(std::move(path)) {}

    Result<> write_shared(const std::string& path, const std::string& content);
    Result<> write_attributes(const std::string& folder, const FunctionSpec& spec);
    Result<> write_netdevs(const std::string& folder, const pci::Function& function);
    Result<> write_sriov(const std::string& folder, const FunctionSpec& spec);
    Result<> link_function(const std::string& folder, const pci::Function& function);

    std::unordered_map<std::string, std::string> shared_;  // from a text to a file that holds it
    std::string path_;
};

// A folder, in memory or below the system's temporary one, that goes with its owner.
class TemporaryFolder {
public:
    static Result<TemporaryFolder> create();
    TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    TemporaryFolder& operator=(TemporaryFolder&&) = delete;
    ~TemporaryFolder();

    [[nodiscard]] const std::string& path() const { return path_; }

private:
    explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

// Writes a file and the folders above it, in place of one that is there.
Result<> write_file(const std::string& path, std::string_view content);

}  // namespace vfb::tree
