// SPDX-License-Identifier: GPL-2.0-or-later
#include "function_reader.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "attributes.hpp"
#include "pci/binding.hpp"

namespace vfb::pci {
namespace {

void read_identity(FunctionDir& dir, Function& function) {
    const auto modalias = dir.read("modalias");
    if (const auto id = modalias ? parse_modalias(*modalias) : std::nullopt) {
        function.vendor = id->vendor;
        function.device = id->device;
        function.subsystem_vendor = id->subsystem_vendor;
        function.subsystem_device = id->subsystem_device;
        function.class_code = id->class_code;
        return;
    }
    const auto number = [&](const char* name, auto& field) {
        const auto value = dir.number(name);
        if (value && std::in_range<std::remove_reference_t<decltype(field)>>(*value))
            field = static_cast<std::remove_reference_t<decltype(field)>>(*value);
        else
            dir.problem(name, value ? "the number is out of range" : "it has no value");
    };
    number("vendor", function.vendor);
    number("device", function.device);
    number("subsystem_vendor", function.subsystem_vendor);
    number("subsystem_device", function.subsystem_device);
    number("class", function.class_code);
}

void read_attributes(FunctionDir& dir, Function& function) {
    if (const auto driver = dir.link_name("driver")) function.driver = *driver;
    if (const auto group = dir.link_name("iommu_group")) {
        const auto number = parse_number(*group);
        if (number && std::in_range<std::uint32_t>(*number))
            function.group = static_cast<std::uint32_t>(*number);
        else
            dir.problem("iommu_group", "'" + std::string(*group) + "' is not a group number");
    }
    if (const auto physfn = dir.link_name("physfn")) {
        if (const auto pf = Address::parse(*physfn))
            function.physfn = *pf;
        else
            dir.problem("physfn", "'" + std::string(*physfn) + "' is not a function");
    }
    if (const auto node = dir.number("numa_node"); node && *node >= 0)
        function.numa_node = static_cast<int>(*node);
    if (const auto methods = dir.read("reset_method")) function.reset_method = *methods;
}

std::vector<Bar> read_resources(FunctionDir& dir, Function& function) {
    const auto text = dir.read("resource");
    if (!text) return {};
    auto resources = parse_resource(*text);
    if (!resources) {
        dir.problem("resource", "it is not a list of resources");
        return {};
    }
    function.bars = std::move(resources->bars);
    function.bars.shrink_to_fit();
    return std::move(resources->vf_bars);
}

// sriov_offset and its like show what the kernel read from the capability, without a lock and
// without CAP_SYS_ADMIN, but as of the time when VFs were last enabled: second choice.
std::optional<std::uint16_t> read_word(FunctionDir& dir, const char* name, int base) {
    const auto text = dir.read(name);
    if (!text) return std::nullopt;
    const auto value = parse_number(base == 16 ? "0x" + std::string(*text) : std::string(*text));
    if (value && std::in_range<std::uint16_t>(*value)) return static_cast<std::uint16_t>(*value);
    dir.problem(name, "'" + std::string(*text) + "' is not a number of 16 bits");
    return std::nullopt;
}

// The revision and the kind of header; nullopt with a problem when the space cannot be read.
std::optional<ConfigSpace> read_config(FunctionDir& dir, Function& function) {
    auto fd = dir.open_file("config", O_RDONLY);
    auto config = fd ? ConfigSpace::read(std::move(*fd)) : std::nullopt;
    if (!config) {
        dir.problem("config", errno == 0 ? "it is shorter than its header" : "", errno);
    } else if (!config->responds()) {
        dir.problem("config", "the device does not answer (all bytes are ff)");
        config.reset();
    }
    if (!config) {
        // What the kernel knows besides; a bridge is told by its bus numbers.
        if (const auto revision = dir.number("revision"))
            function.revision = static_cast<std::uint8_t>(*revision);
        function.header_type = dir.exists("secondary_bus_number") ? 1 : 0;
        return std::nullopt;
    }
    function.revision = config->revision();
    function.header_type = config->header_type();
    function.multifunction = config->multifunction();
    function.pcie_type = config->pcie_type();
    return config;
}

// Netdevs are made by drivers, and neither by those of bridges nor by VFIO's.
bool may_have_netdevs(const Function& function) {
    return function.driver && function.header_type != 1 && !is_vfio_driver(function.driver);
}

enum class Link { there, gone };

// The bridge above is the folder above. Read last, because the kernel takes this link away before
// any attribute: while it stands, what was read before was that of a function that is there.
Link read_parent(const Dir& devices, FunctionDir& dir, Function& function) {
    std::array<char, 4096> buffer;
    const ssize_t size =
        ::readlinkat(devices.fd(), function.address.str().c_str(), buffer.data(), buffer.size());
    if (size < 0) {
        if (errno == ENOENT) return Link::gone;
        dir.problem("", "its place in the hierarchy is unknown", errno);
        return Link::there;
    }
    std::string_view path(buffer.data(), static_cast<std::size_t>(size));
    path = path.substr(0, path.rfind('/'));
    if (const auto parent = path.substr(path.rfind('/') + 1); !parent.starts_with("pci"))
        if (const auto address = Address::parse(parent)) function.parent = *address;
    return Link::there;
}

}  // namespace

void FunctionReader::read_sriov(const Dir& devices, FunctionDir& dir, const ConfigSpace* config,
                                std::vector<Bar> vf_bars, Reading& reading) {
    const auto total = read_word(dir, "sriov_totalvfs", 10);
    if (!total) return;
    SrIov& sriov = reading.function.sriov.emplace();
    sriov.total = *total;
    if (auto folder = devices.open_dir(dir.address().str())) {
        if (auto vfs = read_virtual_functions(*folder))
            reading.vfs = std::move(*vfs);
        else
            dir.problem(std::move(vfs).error());
    }
    sriov.enabled = static_cast<std::uint16_t>(reading.vfs.size());
    sriov.vfs.reserve(reading.vfs.size());
    for (const VirtualFunction& vf : reading.vfs) sriov.vfs.push_back(vf.address);

    const auto capability = config == nullptr ? std::nullopt : config->sriov();
    if (!capability) {
        sriov.offset = read_word(dir, "sriov_offset", 10);
        sriov.stride = read_word(dir, "sriov_stride", 10);
        sriov.vf_device = read_word(dir, "sriov_vf_device", 16);
        return;
    }
    sriov.initial = capability->initial;
    sriov.offset = capability->offset;
    sriov.stride = capability->stride;
    sriov.vf_device = capability->vf_device;
    sriov.ari = capability->ari;
    // The kernel reserves for all VFs that the capability allows, not for those the driver does.
    for (Bar& bar : vf_bars) bar.size /= std::max<std::uint64_t>(capability->total, 1);
    sriov.vf_bars = std::move(vf_bars);
}

std::optional<Reading> FunctionReader::read(const Dir& devices, const Address& address,
                                            std::vector<ReadProblem>& problems) {
    auto dir = FunctionDir::open(devices, address, buffer_);
    if (!dir) {
        const int errnum = errno;
        if (errnum != ENOENT || devices.exists(address.str()))
            problems.push_back(
                {address,
                 fail_errno(errnum, "open " + devices.path(address.str()), address.str()).error()});
        return std::nullopt;
    }
    Reading reading;
    Function& function = reading.function;
    function.address = address;
    read_identity(*dir, function);
    read_attributes(*dir, function);
    auto vf_bars = read_resources(*dir, function);
    const auto config = read_config(*dir, function);
    // Removed, and another one has come into its place since it was opened.
    if (!config && !dir->exists("modalias") && !dir->exists("vendor")) return std::nullopt;
    if (may_have_netdevs(function))
        function.netdevs = netdevs_.read(*dir, function.driver == "virtio-pci");
    if (!function.physfn && function.header_type == 0)
        read_sriov(devices, *dir, config ? &*config : nullptr, std::move(vf_bars), reading);
    if (read_parent(devices, *dir, function) == Link::gone) return std::nullopt;
    // The link to the PF is the last thing that a new VF gets, and the first that it loses.
    if (config && config->is_vf() && !function.physfn) return std::nullopt;
    std::ranges::move(dir->take_problems(), std::back_inserter(problems));
    return reading;
}

}  // namespace vfb::pci
