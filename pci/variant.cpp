// SPDX-License-Identifier: GPL-2.0-or-later
//
// Choosing a VFIO driver. Variant drivers (mlx5-vfio-pci, ...) announce what they fit with aliases
// that begin with `vfio_pci:` where a function's modalias begins with `pci:`
// (Documentation/driver-api/vfio.rst).
#include <fcntl.h>
#include <fmt/format.h>
#include <fnmatch.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ranges>

#include "pci/binding.hpp"
#include "sysfs.hpp"

namespace vfb::pci {
namespace {

constexpr std::string_view kGeneric = "vfio-pci";
constexpr std::string_view kGenericModule = "vfio_pci";  // has an alias that fits everything
constexpr std::string_view kVfioPrefix = "vfio_pci:";

struct Alias {
    std::string pattern;
    std::string module;
};

// Empty when there is no such file: a kernel without modules has none.
Result<std::string> read_whole(const Dir& dir, const std::string& name) {
    auto fd = dir.open_file(name, O_RDONLY);
    if (!fd && fd.error().errnum == ENOENT) return std::string();
    if (!fd) return std::unexpected(std::move(fd).error());
    std::string text;
    std::array<char, 64 * 1024> buffer;
    for (;;) {
        const ssize_t size = ::read(fd->get(), buffer.data(), buffer.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return fail_errno(errno, "read " + dir.path(name), dir.path(name));
        if (size == 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(size));
    }
}

// modules.alias: `alias vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_vfio_pci`, a line each.
void add_loadable(std::vector<Alias>& aliases, std::string_view text) {
    constexpr std::string_view kAlias = "alias ";
    for (const auto part : std::views::split(text, '\n')) {
        std::string_view line(part.begin(), part.end());
        if (!line.starts_with(kAlias)) continue;
        line.remove_prefix(kAlias.size());
        const auto space = line.find(' ');
        if (!line.starts_with(kVfioPrefix) || space == std::string_view::npos) continue;
        aliases.push_back(
            {std::string(line.substr(0, space)), std::string(line.substr(space + 1))});
    }
}

// modules.builtin.modinfo: `mlx5_vfio_pci.alias=vfio_pci:...`, each ended by a zero byte.
void add_built_in(std::vector<Alias>& aliases, std::string_view text) {
    constexpr std::string_view kAlias = ".alias=";
    for (const auto part : std::views::split(text, '\0')) {
        const std::string_view line(part.begin(), part.end());
        const auto at = line.find(kAlias);
        if (at == std::string_view::npos) continue;
        const auto pattern = line.substr(at + kAlias.size());
        if (!pattern.starts_with(kVfioPrefix)) continue;
        aliases.push_back({std::string(pattern), std::string(line.substr(0, at))});
    }
}

// The driver that a module registered; modules have underscores where drivers may have dashes.
std::optional<std::string> driver_of(const std::vector<std::string>& drivers,
                                     const std::string& module) {
    const auto found = std::ranges::find_if(drivers, [&](std::string name) {
        std::ranges::replace(name, '-', '_');
        return name == module;
    });
    if (found == drivers.end()) return std::nullopt;
    return *found;
}

}  // namespace

Result<std::vector<VariantDriver>> variant_drivers(const SysRoot& root, const Address& address) {
    const auto operation = fmt::format("choose the VFIO driver of {}", address);
    VFB_TRY(const auto dir, open_function(root, address, operation));
    VFB_TRY(const auto modalias, dir.read("modalias"));
    const auto colon = modalias.find(':');
    const auto wanted = std::string(kVfioPrefix) + modalias.substr(colon + 1);

    std::vector<Alias> aliases;
    const auto modules = root.modules();
    if (!modules) return {};  // a kernel without modules
    VFB_TRY(const auto loadable, read_whole(*modules, "modules.alias"));
    add_loadable(aliases, loadable);
    VFB_TRY(const auto built_in, read_whole(*modules, "modules.builtin.modinfo"));
    add_built_in(aliases, built_in);

    // The fewer wildcards, the better the fit.
    std::ranges::stable_sort(
        aliases, {}, [](const Alias& alias) { return std::ranges::count(alias.pattern, '*'); });
    VFB_TRY(const auto drivers, root.sys().list("bus/pci/drivers"));
    std::vector<VariantDriver> fitting;
    for (const Alias& alias : aliases)
        if (alias.module != kGenericModule &&
            ::fnmatch(alias.pattern.c_str(), wanted.c_str(), 0) == 0)
            fitting.push_back({.module = alias.module, .driver = driver_of(drivers, alias.module)});
    return fitting;
}

Result<std::string> best_vfio_driver(const SysRoot& root, const Address& address) {
    VFB_TRY(const auto fitting, variant_drivers(root, address));
    for (const VariantDriver& variant : fitting)
        if (variant.driver) return *variant.driver;
    return std::string(kGeneric);
}

}  // namespace vfb::pci
