// SPDX-License-Identifier: GPL-2.0-or-later
#include "pci/uevents.hpp"

#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace vfb::pci {
namespace {

constexpr unsigned kKernelGroup = 1;  // group 2 is udev's
constexpr int kReceiveBuffer = 16 * 1024 * 1024;
// Whoever may send to this socket shall not be able to keep next() busy for ever.
constexpr int kMostDropped = 64;
constexpr std::string_view kOperation = "receive uevents";

Uevent::Kind kind_of(std::string_view action) {
    if (action == "add") return Uevent::Kind::add;
    if (action == "remove") return Uevent::Kind::remove;
    if (action == "change") return Uevent::Kind::change;
    if (action == "bind") return Uevent::Kind::bind;
    if (action == "unbind") return Uevent::Kind::unbind;
    return Uevent::Kind::other;  // move, online, offline
}

std::optional<Address> deepest_address(std::string_view path) {
    while (!path.empty()) {
        const auto slash = path.rfind('/');
        const auto name = path.substr(slash + 1);  // npos + 1 is 0
        // Cheap look first: a failing parse builds a message.
        if (name.size() >= 12 && name[name.size() - 2] == '.')
            if (const auto address = Address::parse(name)) return *address;
        if (slash == std::string_view::npos) break;
        path = path.substr(0, slash);
    }
    return std::nullopt;
}

// Only the kernel sends from port 0, and its messages carry the credentials of process 0.
bool is_from_kernel(const msghdr& message, const sockaddr_nl& sender) {
    if (message.msg_namelen != sizeof sender || sender.nl_pid != 0) return false;
    for (const cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr;
         c = CMSG_NXTHDR(const_cast<msghdr*>(&message), const_cast<cmsghdr*>(c))) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS) continue;
        ucred credentials{};
        std::memcpy(&credentials, CMSG_DATA(c), sizeof credentials);
        return credentials.uid == 0 && credentials.pid == 0;
    }
    return false;
}

Uevent overrun() {
    Uevent event;
    event.kind = Uevent::Kind::overrun;
    return event;
}

}  // namespace

std::optional<Uevent> parse_uevent(std::string_view datagram) {
    const auto header = datagram.substr(0, datagram.find('\0'));
    const auto at = header.find('@');
    // udev's own messages begin with "libudev" and a zero byte.
    if (at == std::string_view::npos || header.size() == datagram.size()) return std::nullopt;
    Uevent event;
    event.kind = kind_of(header.substr(0, at));
    event.path = header.substr(at + 1);
    datagram.remove_prefix(header.size() + 1);
    while (!datagram.empty()) {
        const auto line = datagram.substr(0, datagram.find('\0'));
        const auto take = [&](std::string_view key, std::string& field) {
            if (line.starts_with(key)) field = line.substr(key.size());
        };
        take("SUBSYSTEM=", event.subsystem);
        take("DRIVER=", event.driver);
        take("INTERFACE=", event.interface);
        datagram.remove_prefix(std::min(line.size() + 1, datagram.size()));
    }
    if (event.path.empty() || event.subsystem.empty()) return std::nullopt;
    event.address = deepest_address(event.path);
    return event;
}

Result<UeventMonitor> UeventMonitor::open() {
    UniqueFd fd(
        ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT));
    const std::string subject = "netlink";
    const std::string operation(kOperation);
    if (!fd) return fail_errno(errno, operation, subject);
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer))
        // Not allowed: as much as anybody may have. An overrun is noticed in any case.
        (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
    const int on = 1;
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0)
        return fail_errno(errno, operation, subject);
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = kKernelGroup;
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return fail_errno(errno, operation, subject);
    return UeventMonitor(std::move(fd));
}

Result<std::optional<Uevent>> UeventMonitor::next() {
    std::array<char, 8192> data;  // the kernel's messages have 2 KiB of variables at most
    for (int dropped = 0; dropped < kMostDropped; ++dropped) {
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control;
        sockaddr_nl sender{};
        iovec part{.iov_base = data.data(), .iov_len = data.size()};
        msghdr message{};
        message.msg_name = &sender;
        message.msg_namelen = sizeof sender;
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const ssize_t size = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && errno == EAGAIN) return std::nullopt;
        if (size < 0 && errno == ENOBUFS) return overrun();
        if (size < 0) return fail_errno(errno, std::string(kOperation), "netlink");
        if (!is_from_kernel(message, sender)) continue;
        // What does not fit cannot be understood, but something did happen.
        if ((message.msg_flags & MSG_TRUNC) != 0) return overrun();
        const std::string_view text(data.data(), static_cast<std::size_t>(size));
        if (auto event = parse_uevent(text)) return event;
    }
    return std::nullopt;
}

Result<std::optional<Uevent>> UeventMonitor::wait(const Deadline& deadline) {
    for (;;) {
        VFB_TRY(auto event, next());
        if (event || deadline.expired()) return event;
        pollfd waiting{.fd = fd_.get(), .events = POLLIN, .revents = 0};
        const int ready = ::poll(&waiting, 1, deadline.poll_timeout());
        if (ready < 0 && errno != EINTR)
            return fail_errno(errno, std::string(kOperation), "netlink");
    }
}

}  // namespace vfb::pci
