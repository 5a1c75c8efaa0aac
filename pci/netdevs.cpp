// SPDX-License-Identifier: GPL-2.0-or-later
#include "netdevs.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/ranges.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <memory>
#include <span>

namespace vfb::pci {
namespace {

struct CloseDir {
    void operator()(DIR* dir) const { ::closedir(dir); }
};

// Sorted names in a folder; empty when there is no such folder.
std::vector<std::string> list(const FunctionDir& function, const std::string& folder) {
    auto fd = function.open_file(folder.c_str(), O_RDONLY | O_DIRECTORY);
    if (!fd) return {};
    std::unique_ptr<DIR, CloseDir> dir(::fdopendir(fd->get()));
    if (!dir) return {};
    (void)fd->release();  // owned by the stream now
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(dir.get()))
        if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    std::ranges::sort(names);
    return names;
}

std::string format_mac(std::span<const unsigned char> bytes) {
    if (std::ranges::all_of(bytes, [](unsigned char byte) { return byte == 0; })) return {};
    return fmt::format("{:02x}", fmt::join(bytes, ":"));
}

}  // namespace

std::string NetdevReader::permanent_mac(const std::string& name) {
    if (!socket_) socket_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket_ || name.size() >= IFNAMSIZ) return {};
    // ethtool_perm_addr ends in a flexible array: the header, then room for the longest address.
    constexpr unsigned kLongest = 32;  // MAX_ADDR_LEN of linux/netdevice.h
    struct {
        std::uint32_t cmd;
        std::uint32_t size;
        std::array<unsigned char, kLongest> data;
    } answer{.cmd = ETHTOOL_GPERMADDR, .size = kLongest, .data = {}};
    static_assert(offsetof(decltype(answer), data) == sizeof(ethtool_perm_addr));
    ifreq request{};
    std::memcpy(request.ifr_name, name.c_str(), name.size());
    request.ifr_data = reinterpret_cast<char*>(&answer);
    if (::ioctl(socket_.get(), SIOCETHTOOL, &request) != 0) return {};
    return format_mac(std::span(answer.data).first(std::min(answer.size, kLongest)));
}

std::optional<Netdev> NetdevReader::read_one(FunctionDir& function, const std::string& folder,
                                             const std::string& name) {
    const auto path = folder + "/" + name + "/";
    Netdev netdev;
    netdev.name = name;
    // A netdev that is being unregistered answers EINVAL.
    const auto ifindex = function.read((path + "ifindex").c_str(), EINVAL);
    if (!ifindex) return std::nullopt;
    if (const auto number = parse_number(*ifindex))
        netdev.ifindex = static_cast<int>(*number);
    else
        function.problem(path + "ifindex", "'" + std::string(*ifindex) + "' is not a number");
    if (const auto mac = function.read((path + "address").c_str(), EINVAL)) netdev.mac = *mac;
    if (const auto flags = function.number((path + "flags").c_str(), EINVAL))
        netdev.up = (*flags & IFF_UP) != 0;
    if (host_)
        netdev.permanent_mac = permanent_mac(name);
    else if (function.number((path + "addr_assign_type").c_str()) == 0)
        netdev.permanent_mac = netdev.mac;  // NET_ADDR_PERM
    return netdev;
}

std::vector<Netdev> NetdevReader::read_folder(FunctionDir& function, const std::string& folder) {
    std::vector<Netdev> netdevs;
    // udev renames a new netdev at once; one that cannot be read is listed again, twice at most.
    for (int attempt = 0; attempt < 3; ++attempt) {
        netdevs.clear();
        const auto names = list(function, folder);
        for (const std::string& name : names)
            if (auto netdev = read_one(function, folder, name))
                netdevs.push_back(std::move(*netdev));
        if (netdevs.size() == names.size()) break;
    }
    return netdevs;
}

std::vector<Netdev> NetdevReader::read(FunctionDir& function, bool virtio) {
    auto netdevs = read_folder(function, "net");
    if (!virtio) return netdevs;
    for (const std::string& name : list(function, "."))
        if (name.starts_with("virtio"))
            std::ranges::move(read_folder(function, name + "/net"), std::back_inserter(netdevs));
    return netdevs;
}

}  // namespace vfb::pci
