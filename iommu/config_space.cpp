// SPDX-License-Identifier: GPL-2.0-or-later
#include "config_space.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace vfb::iommu {
namespace {

constexpr std::size_t kExtendedStart = 256;
// A broken device can link its capabilities in a ring: no list has more than fit.
constexpr int kMostCapabilities = (4096 - 256) / 8;

}  // namespace

Result<ConfigSpace> ConfigSpace::open(const SysRoot& root, const pci::Address& address) {
    VFB_TRY(auto fd,
            root.sys().open_file("bus/pci/devices/" + address.str() + "/config", O_RDONLY));
    return ConfigSpace(std::move(fd));
}

std::optional<std::uint32_t> ConfigSpace::long_at(std::size_t offset) const {
    std::array<std::uint8_t, 4> bytes{};
    ssize_t n;
    do n = ::pread(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    while (n < 0 && errno == EINTR);
    if (n != static_cast<ssize_t>(bytes.size())) return std::nullopt;
    return static_cast<std::uint32_t>(bytes[0]) | static_cast<std::uint32_t>(bytes[1]) << 8 |
           static_cast<std::uint32_t>(bytes[2]) << 16 | static_cast<std::uint32_t>(bytes[3]) << 24;
}

std::optional<std::size_t> ConfigSpace::find_extended(std::uint16_t id) const {
    std::size_t offset = kExtendedStart;
    for (int n = 0; n < kMostCapabilities; ++n) {
        const auto header = long_at(offset);
        if (!header || *header == 0 || *header == 0xffffffff) return std::nullopt;
        if ((*header & 0xffff) == id) return offset;
        offset = *header >> 20 & 0xffc;
        if (offset < kExtendedStart) return std::nullopt;
    }
    return std::nullopt;
}

}  // namespace vfb::iommu
