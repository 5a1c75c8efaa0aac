// SPDX-License-Identifier: GPL-2.0-or-later
//
// Messages about links and their VFs, made by hand and sent together: the floor under what the nic
// module does.
#pragma once

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

namespace vfb::bench {

// -1 with errno when there is none to be had.
inline int open_netlink() {
    const int socket = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    const int large = 4 << 20;
    if (socket >= 0 && ::setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof large) != 0)
        return -1;
    return socket;
}

class LinkBatch {
public:
    // Sets one attribute of a VF.
    template <class T>
    void set(int ifindex, int type, const T& value) {
        message(RTM_SETLINK, ifindex, 0, [&] {
            const auto list = open(IFLA_VFINFO_LIST);
            const auto info = open(IFLA_VF_INFO);
            attribute(type, value);
            close(info);
            close(list);
        });
    }
    void set_vlan(int ifindex, unsigned vf, unsigned vlan) {
        message(RTM_SETLINK, ifindex, 0, [&] {
            const auto list = open(IFLA_VFINFO_LIST);
            const auto info = open(IFLA_VF_INFO);
            const auto vlans = open(IFLA_VF_VLAN_LIST);
            attribute(IFLA_VF_VLAN_INFO,
                      ifla_vf_vlan_info{
                          .vf = vf, .vlan = vlan, .qos = 0, .vlan_proto = htons(ETH_P_8021Q)});
            close(vlans);
            close(info);
            close(list);
        });
    }
    void set_up(int ifindex) {
        message(RTM_NEWLINK, ifindex, IFF_UP, [] {});
    }
    // Asks for all VFs.
    void ask_vfs(int ifindex) {
        message(RTM_GETLINK, ifindex, 0, [&] {
            attribute<std::uint32_t>(IFLA_EXT_MASK, RTEXT_FILTER_VF | RTEXT_FILTER_SKIP_STATS);
        });
    }

    // Sends all and waits until all are acknowledged; false with errno when one is refused.
    [[nodiscard]] bool send(int socket, std::vector<char>& buffer) const {
        if (::send(socket, bytes_.data(), bytes_.size(), 0) < 0) return false;
        for (unsigned left = count_; left > 0;) {
            const ssize_t size = ::recv(socket, buffer.data(), buffer.size(), 0);
            if (size < 0) return false;
            for (std::size_t at = 0; at + sizeof(nlmsghdr) <= static_cast<std::size_t>(size);) {
                nlmsghdr header;
                std::memcpy(&header, buffer.data() + at, sizeof header);
                if (header.nlmsg_type == NLMSG_ERROR) {
                    nlmsgerr error;
                    std::memcpy(&error, buffer.data() + at + NLMSG_HDRLEN, sizeof error);
                    errno = -error.error;
                    if (errno != 0) return false;
                    --left;
                }
                at += NLMSG_ALIGN(header.nlmsg_len);
            }
        }
        return true;
    }

private:
    template <class Body>
    void message(std::uint16_t type, int ifindex, unsigned flags, Body body) {
        const std::size_t start = bytes_.size();
        nlmsghdr header{};
        header.nlmsg_type = type;
        header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
        ifinfomsg info{};
        info.ifi_index = ifindex;
        info.ifi_flags = info.ifi_change = flags;
        add(&header, sizeof header);
        add(&info, sizeof info);
        body();
        header.nlmsg_len = static_cast<std::uint32_t>(bytes_.size() - start);
        std::memcpy(bytes_.data() + start, &header, sizeof header);
        ++count_;
    }
    std::size_t open(int type) {
        const rtattr header{.rta_len = 0, .rta_type = static_cast<unsigned short>(type)};
        add(&header, sizeof header);
        return bytes_.size() - sizeof header;
    }
    void close(std::size_t start) {
        const auto length = static_cast<unsigned short>(bytes_.size() - start);
        std::memcpy(bytes_.data() + start, &length, sizeof length);
        bytes_.resize(RTA_ALIGN(bytes_.size()));
    }
    template <class T>
    void attribute(int type, const T& value) {
        const auto start = open(type);
        add(&value, sizeof value);
        close(start);
    }
    void add(const void* data, std::size_t size) {
        const auto* const chars = static_cast<const char*>(data);
        bytes_.insert(bytes_.end(), chars, chars + size);
    }
    std::vector<char> bytes_;
    unsigned count_ = 0;
};

}  // namespace vfb::bench
