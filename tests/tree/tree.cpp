// SPDX-License-Identifier: GPL-2.0-or-later
#include "tree/tree.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <ranges>

#include "base/unique_fd.hpp"

namespace vfb::tree {
namespace {

// linux/ioport.h
constexpr std::uint64_t kIo = 0x40101;
constexpr std::uint64_t kMemory = 0x40200;
constexpr std::uint64_t kPrefetch = 0x2008;
constexpr std::uint64_t kMemory64 = 0x100004;

Result<> make_folder(const std::string& path) {
    if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return {};
    if (errno == ENOENT) {
        VFB_CHECK(make_folder(path.substr(0, path.rfind('/'))));
        return make_folder(path);
    }
    return fail_errno(errno, "create " + path, path);
}

Result<> make_link(const std::string& target, const std::string& path) {
    if (::symlink(target.c_str(), path.c_str()) == 0) return {};
    if (errno == ENOENT) {
        VFB_CHECK(make_folder(path.substr(0, path.rfind('/'))));
        return make_link(target, path);
    }
    return fail_errno(errno, "create the link " + path, path);
}

// The way from a folder below `sys` up to `sys`: `../../..`.
std::string up_to_sys(const std::string& folder) {
    const auto depth = std::ranges::count(folder, '/');  // sys/devices/... counts itself
    std::string way = "..";
    for (auto i = 1; i < depth; ++i) way += "/..";
    return way;
}

std::uint64_t flags_of(const pci::Bar& bar) {
    if (bar.io) return kIo;
    return kMemory | (bar.prefetchable ? kPrefetch : 0) | (bar.is_64bit ? kMemory64 : 0);
}

void put_bar(std::vector<std::string>& lines, std::size_t line, const pci::Bar& bar,
             std::uint64_t count) {
    lines.at(line) = fmt::format("0x{:016x} 0x{:016x} 0x{:016x}", bar.address,
                                 bar.address + bar.size * count - 1, flags_of(bar));
}

std::string resource_text(const FunctionSpec& spec) {
    const std::string none = fmt::format("0x{:016x} 0x{:016x} 0x{:016x}", 0, 0, 0);
    // Six BARs, the ROM, six VF BARs; bridges have four windows more.
    std::vector<std::string> lines(spec.function.is_bridge() ? 17 : 13, none);
    for (const pci::Bar& bar : spec.function.bars) put_bar(lines, bar.index, bar, 1);
    if (const auto& sriov = spec.function.sriov)
        for (const pci::Bar& bar : sriov->vf_bars)
            put_bar(lines, bar.index + 7U, bar, spec.total_vfs);
    return fmt::format("{}\n", fmt::join(lines, "\n"));
}

std::string modalias_of(const pci::Function& f) {
    return fmt::format("pci:v{:08X}d{:08X}sv{:08X}sd{:08X}bc{:02x}sc{:02x}i{:02x}", f.vendor,
                       f.device, f.subsystem_vendor, f.subsystem_device, f.class_code >> 16,
                       (f.class_code >> 8) & 0xff, f.class_code & 0xff);
}

}  // namespace

Result<> write_file(const std::string& path, std::string_view content) {
    // A new file each time: what was there may be one of many names of it, see write_shared().
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    UniqueFd fd(::open(path.c_str(), flags, 0644));
    if (!fd && errno == EEXIST && ::unlink(path.c_str()) == 0)
        fd.reset(::open(path.c_str(), flags, 0644));
    if (!fd && errno == ENOENT) {
        VFB_CHECK(make_folder(path.substr(0, path.rfind('/'))));
        return write_file(path, content);
    }
    if (!fd || ::write(fd.get(), content.data(), content.size()) < 0)
        return fail_errno(errno, "write " + path, path);
    return {};
}

// Most attributes of thousands of functions are the same few texts, so each text is one file with
// many names.
Result<> Tree::write_shared(const std::string& path, const std::string& content) {
    const auto first = shared_.find(content);
    if (first != shared_.end() && ::link(first->second.c_str(), path.c_str()) == 0) return {};
    // The first one, or it has as many names as it can have.
    VFB_CHECK(write_file(path, content));
    shared_[content] = path;
    return {};
}

Result<Tree> Tree::create(const std::string& path) {
    for (const char* folder :
         {"/sys/bus/pci/devices", "/sys/bus/pci/drivers", "/sys/bus/pci/slots",
          "/sys/kernel/iommu_groups", "/sys/class/net", "/sys/class/iommu", "/dev", "/proc"})
        VFB_CHECK(make_folder(path + folder));
    VFB_CHECK(write_file(path + "/proc/sys/kernel/osrelease", "6.12.0\n"));
    return Tree(path);
}

Result<std::string> Tree::folder(const pci::Address& address) const {
    VFB_TRY(const auto devices, Dir::open(path_ + "/sys/bus/pci/devices"));
    VFB_TRY(const auto target, devices.read_link(address.str()));
    return "sys/" + target.substr(std::string_view("../../../").size());
}

Result<> Tree::add(const FunctionSpec& spec) {
    const pci::Function& f = spec.function;
    std::string above =
        fmt::format("sys/devices/pci{:04x}:{:02x}", f.address.domain, f.address.bus);
    if (f.parent) {
        VFB_TRY(above, folder(*f.parent));
    }
    const auto relative = above + "/" + f.address.str();
    const auto full = path_ + "/" + relative;
    VFB_CHECK(make_folder(full));
    VFB_CHECK(write_attributes(full + "/", spec));
    VFB_CHECK(write_netdevs(relative, f));
    VFB_CHECK(write_sriov(full + "/", spec));
    return link_function(relative, f);
}

Result<> Tree::write_attributes(const std::string& folder, const FunctionSpec& spec) {
    const pci::Function& f = spec.function;
    const auto attribute = [&](const char* name, const std::string& value) {
        return write_shared(folder + name, value + "\n");
    };
    VFB_CHECK(attribute("vendor", fmt::format("0x{:04x}", f.vendor)));
    VFB_CHECK(attribute("device", fmt::format("0x{:04x}", f.device)));
    VFB_CHECK(attribute("subsystem_vendor", fmt::format("0x{:04x}", f.subsystem_vendor)));
    VFB_CHECK(attribute("subsystem_device", fmt::format("0x{:04x}", f.subsystem_device)));
    VFB_CHECK(attribute("class", fmt::format("0x{:06x}", f.class_code)));
    VFB_CHECK(attribute("revision", fmt::format("0x{:02x}", f.revision)));
    VFB_CHECK(attribute("modalias", modalias_of(f)));
    VFB_CHECK(write_file(folder + "resource", resource_text(spec)));
    VFB_CHECK(attribute("numa_node", std::to_string(f.numa_node.value_or(-1))));
    VFB_CHECK(attribute("irq", "0"));
    // What programs write to has a file of its own.
    VFB_CHECK(write_file(folder + "driver_override",
                         (spec.driver_override.empty() ? "(null)" : spec.driver_override) + "\n"));
    if (!f.reset_method.empty()) VFB_CHECK(attribute("reset_method", f.reset_method.str()));
    if (f.is_bridge()) {
        VFB_CHECK(attribute("secondary_bus_number", std::to_string(spec.secondary)));
        VFB_CHECK(attribute("subordinate_bus_number", std::to_string(spec.subordinate)));
    }
    const auto config = config_bytes(spec);
    return write_file(folder + "config",
                      {reinterpret_cast<const char*>(config.data()), config.size()});
}

Result<> Tree::write_netdevs(const std::string& folder, const pci::Function& function) {
    for (const pci::Netdev& netdev : function.netdevs) {
        const auto relative = folder + "/net/" + netdev.name;
        const auto at = path_ + "/" + relative + "/";
        VFB_CHECK(write_shared(at + "ifindex", fmt::format("{}\n", netdev.ifindex)));
        VFB_CHECK(write_shared(at + "address", netdev.mac + "\n"));
        // NET_ADDR_PERM, or NET_ADDR_RANDOM for one without a permanent address.
        VFB_CHECK(
            write_shared(at + "addr_assign_type", netdev.permanent_mac.empty() ? "1\n" : "0\n"));
        VFB_CHECK(write_shared(at + "flags", netdev.up ? "0x1003\n" : "0x1002\n"));
        VFB_CHECK(write_shared(at + "mtu", "1500\n"));
        VFB_CHECK(make_link("../../../" + function.address.str(), at + "device"));
        VFB_CHECK(
            make_link("../../" + relative.substr(4), path_ + "/sys/class/net/" + netdev.name));
    }
    return {};
}

Result<> Tree::write_sriov(const std::string& folder, const FunctionSpec& spec) {
    const pci::Function& f = spec.function;
    if (f.physfn) {
        VFB_TRY(const auto pf, this->folder(*f.physfn));
        VFB_CHECK(make_link("../" + f.physfn->str(), folder + "physfn"));
        VFB_CHECK(make_link("../" + f.address.str(),
                            fmt::format("{}/{}/virtfn{}", path_, pf, f.vf_index.value_or(0))));
    }
    if (!f.sriov) return {};
    const auto attribute = [&](const char* name, const std::string& value) {
        return write_file(folder + name, value + "\n");
    };
    VFB_CHECK(attribute("sriov_totalvfs", std::to_string(f.sriov->total)));
    VFB_CHECK(attribute("sriov_numvfs", std::to_string(f.sriov->enabled)));
    VFB_CHECK(attribute("sriov_drivers_autoprobe", "1"));
    VFB_CHECK(attribute("sriov_offset", std::to_string(f.sriov->offset.value_or(0))));
    VFB_CHECK(attribute("sriov_stride", std::to_string(f.sriov->stride.value_or(0))));
    return attribute("sriov_vf_device", fmt::format("{:x}", f.sriov->vf_device.value_or(0)));
}

Result<> Tree::link_function(const std::string& folder, const pci::Function& function) {
    const auto name = function.address.str();
    const auto below_sys = folder.substr(std::string_view("sys/").size());
    const auto here = path_ + "/" + folder + "/";
    const auto sys = path_ + "/sys/";
    const auto up = up_to_sys(folder) + "/";
    VFB_CHECK(make_link(up + "bus/pci", here + "subsystem"));
    if (function.driver) {
        const auto driver = "bus/pci/drivers/" + *function.driver;
        VFB_CHECK(write_file(sys + driver + "/bind", ""));
        VFB_CHECK(write_file(sys + driver + "/unbind", ""));
        VFB_CHECK(make_link(up + driver, here + "driver"));
        VFB_CHECK(make_link("../../../../" + below_sys, sys + driver + "/" + name));
    }
    if (function.group) {
        const auto group = fmt::format("kernel/iommu_groups/{}", *function.group);
        VFB_CHECK(make_link("../../../../" + below_sys, sys + group + "/devices/" + name));
        VFB_CHECK(make_link(up + group, here + "iommu_group"));
        if (!std::filesystem::exists(sys + group + "/type")) {
            VFB_CHECK(describe_group(*function.group, "DMA-FQ",
                                     "0x00000000fee00000 0x00000000feefffff msi\n"));
        }
    }
    if (!function.slot.empty()) {
        const auto& a = function.address;
        VFB_CHECK(write_file(sys + "bus/pci/slots/" + function.slot.str() + "/address",
                             fmt::format("{:04x}:{:02x}:{:02x}\n", a.domain, a.bus, a.device)));
    }
    // Last, as the kernel makes it when the rest is there.
    return make_link("../../../" + below_sys, sys + "bus/pci/devices/" + name);
}

Result<> Tree::describe_group(std::uint32_t group, const std::string& type,
                              const std::string& reserved_regions) {
    const auto folder = fmt::format("{}/sys/kernel/iommu_groups/{}/", path_, group);
    VFB_CHECK(write_shared(folder + "type", type + "\n"));
    return write_shared(folder + "reserved_regions", reserved_regions);
}

Result<TemporaryFolder> TemporaryFolder::create() {
    // In memory if there is room: a large tree is a hundred thousand files.
    constexpr std::uintmax_t kRoom = 1ULL << 30;
    const std::filesystem::path memory = "/dev/shm";
    std::error_code ignored;
    const auto space = std::filesystem::space(memory, ignored);
    const bool fits = !ignored && space.available >= kRoom && ::access(memory.c_str(), W_OK) == 0;
    std::string path = (fits ? memory : std::filesystem::temp_directory_path()) / "vfbroker-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) return fail_errno(errno, "create " + path, path);
    return TemporaryFolder(std::move(path));
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code ignored;  // nothing depends on it
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace vfb::tree
