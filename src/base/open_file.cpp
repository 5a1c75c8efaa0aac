// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/open_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstdlib>
#include <ranges>
#include <string_view>

namespace vfb {

std::optional<dev_t> device_number(int dir, const std::string& name) {
    struct statx status{};
    if (::statx(dir, name.c_str(), AT_STATX_DONT_SYNC, STATX_TYPE, &status) != 0 ||
        !S_ISCHR(status.stx_mode))
        return std::nullopt;
    return makedev(status.stx_rdev_major, status.stx_rdev_minor);
}

bool only_names_it(const Dir& process, const std::string& fd) {
    constexpr std::string_view kFlags = "flags:";
    const auto info = process.read("fdinfo/" + fd);
    if (!info) return false;
    for (const auto part : *info | std::views::split('\n')) {
        const std::string_view line(part);
        if (!line.starts_with(kFlags)) continue;
        const std::string octal(line.substr(kFlags.size()));
        return (std::strtoul(octal.c_str(), nullptr, 8) & O_PATH) != 0;
    }
    return false;
}

}  // namespace vfb
