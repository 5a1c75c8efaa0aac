// SPDX-License-Identifier: GPL-2.0-or-later
//
// Which backends this kernel has.
#include <fmt/format.h>

#include <ranges>

#include "vfio/vfio.hpp"

namespace vfb::vfio {
namespace {

// Which ranges of character devices VFIO has registered; nullopt where procfs does not tell.
struct Ranges {
    bool cdev = false;
    bool group = false;
};
std::optional<Ranges> read_ranges(const Dir& proc) {
    const auto text = proc.read("devices");
    if (!text) return std::nullopt;
    Ranges ranges;
    for (const auto part : *text | std::views::split('\n')) {
        const std::string_view line(part);
        ranges.cdev = ranges.cdev || line.ends_with(" vfio-dev");
        ranges.group = ranges.group || line.ends_with(" vfio");
    }
    return ranges;
}

// A module that is there but not loaded looks the same as one that was never built.
constexpr std::string_view kNotLoaded = "VFIO is not loaded (modprobe vfio-pci)";

std::string why_no_iommufd(const Dir& dev, const Ranges& ranges) {
    if (!ranges.cdev && !ranges.group) return std::string(kNotLoaded);
    if (!ranges.cdev) return "this kernel has no VFIO device nodes (CONFIG_VFIO_DEVICE_CDEV)";
    if (!dev.exists("iommu")) return fmt::format("there is no {}", dev.path("iommu"));
    return {};
}

std::string why_no_group(const Dir& dev, const Ranges& ranges) {
    if (!ranges.cdev && !ranges.group) return std::string(kNotLoaded);
    if (!ranges.group) return "this kernel has no VFIO groups (CONFIG_VFIO_GROUP)";
    if (!dev.exists("vfio/vfio")) return fmt::format("there is no {}", dev.path("vfio/vfio"));
    return {};
}

}  // namespace

std::string_view to_string(Backend backend) {
    return backend == Backend::iommufd ? "iommufd" : "group";
}

std::optional<Backend> backend_from_string(std::string_view name) {
    if (name == "iommufd") return Backend::iommufd;
    if (name == "group") return Backend::group;
    return std::nullopt;
}

Result<Backend> Support::preferred() const {
    if (iommufd) return Backend::iommufd;
    if (group) return Backend::group;
    return fail(Code::unsupported, "use VFIO", "vfio",
                fmt::format("iommufd: {}; group: {}", iommufd_reason, group_reason),
                "load the module vfio-pci, or use a kernel that has VFIO");
}

Support read_support(const SysRoot& root, const std::optional<pci::Address>& bound) {
    auto ranges = read_ranges(root.proc());
    if (!ranges) {
        ranges.emplace();
        if (bound) {
            if (const auto nodes = find_nodes(root, *bound))
                *ranges = {.cdev = nodes->cdev.has_value(), .group = nodes->group.has_value()};
        }
    }
    Support support;
    support.iommufd_reason = why_no_iommufd(root.dev(), *ranges);
    support.group_reason = why_no_group(root.dev(), *ranges);
    support.iommufd = support.iommufd_reason.empty();
    support.group = support.group_reason.empty();
    return support;
}

}  // namespace vfb::vfio
