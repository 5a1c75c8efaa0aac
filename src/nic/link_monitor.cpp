// SPDX-License-Identifier: GPL-2.0-or-later
#include "nic/link_monitor.hpp"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace vfb::nic {
namespace {

constexpr const char* kOperation = "watch the network interfaces";

std::unexpected<Error> failed(int error) {
    return fail(Code::failed, kOperation, {}, nl_geterror(error));
}

void note_device(nlmsghdr* message, std::set<std::string>& devices) {
    if (message->nlmsg_type != RTM_NEWLINK) return;
    nlattr* const name = nlmsg_find_attr(message, sizeof(ifinfomsg), IFLA_PARENT_DEV_NAME);
    if (name == nullptr || nla_len(name) < 1) return;
    const auto* const text = static_cast<const char*>(nla_data(name));
    devices.emplace(text, ::strnlen(text, static_cast<std::size_t>(nla_len(name))));
}

}  // namespace

void LinkMonitor::FreeSocket::operator()(nl_sock* socket) const {
    nl_socket_free(socket);
}

Result<LinkMonitor> LinkMonitor::open() {
    std::unique_ptr<nl_sock, FreeSocket> socket(nl_socket_alloc());
    if (!socket) return failed(-NLE_NOMEM);
    if (const int error = nl_connect(socket.get(), NETLINK_ROUTE); error < 0) return failed(error);
    if (const int error = nl_socket_add_memberships(socket.get(), RTNLGRP_LINK, 0); error < 0)
        return failed(error);
    return LinkMonitor(std::move(socket));
}

int LinkMonitor::fd() const {
    return nl_socket_get_fd(socket_.get());
}

Result<std::optional<std::set<std::string>>> LinkMonitor::take() {
    std::set<std::string> devices;
    bool missed = false;
    alignas(nlmsghdr) std::array<char, 32 << 10> buffer{};
    for (;;) {
        const ssize_t received =
            ::recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC);
        if (received < 0 && errno == EINTR) continue;
        if (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
        // The queue was full, or a message was: what it said is lost.
        const bool overrun =
            received < 0 ? errno == ENOBUFS : std::cmp_greater(received, buffer.size());
        if (received < 0 && !overrun) return fail_errno(errno, kOperation, {});
        missed |= overrun;
        if (overrun) continue;
        int left = static_cast<int>(received);
        // NOLINTNEXTLINE(*-reinterpret-cast): how netlink's API spells a message in a buffer
        auto* message = reinterpret_cast<nlmsghdr*>(buffer.data());
        for (; nlmsg_ok(message, left) != 0; message = nlmsg_next(message, &left))
            note_device(message, devices);
    }
    if (missed) return std::nullopt;
    return devices;
}

}  // namespace vfb::nic
