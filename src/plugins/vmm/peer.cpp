// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

namespace vfb::vmm {
namespace {

Result<sockaddr_un> address_of(const std::string& operation, const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        return fail(Code::invalid, operation, path,
                    fmt::format("a socket's path has 1 to {} bytes", sizeof address.sun_path - 1));
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

// Closes descriptors that nobody asked for; returns the sender.
std::optional<pid_t> read_control(msghdr& header) {
    std::optional<pid_t> sender;
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr;
         part = CMSG_NXTHDR(&header, part)) {
        if (part->cmsg_level != SOL_SOCKET) continue;
        if (part->cmsg_type == SCM_CREDENTIALS) {
            ucred credentials{};
            std::memcpy(&credentials, CMSG_DATA(part), sizeof credentials);
            sender = credentials.pid;
        } else if (part->cmsg_type == SCM_RIGHTS) {
            const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (std::size_t i = 0; i < count; ++i) {
                int fd = -1;
                std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
                UniqueFd closed(fd);
            }
        }
    }
    return sender;
}

}  // namespace

std::string Peer::operation() const {
    return fmt::format("talk to {} at {}", vmm_, path_);
}

std::unexpected<Error> Peer::protocol_error(std::string reason, std::string hint) const {
    return fail(Code::protocol, operation(), path_, std::move(reason), std::move(hint));
}

std::unexpected<Error> Peer::lost() const {
    return fail(Code::lost, operation(), path_, vmm_ + " has ended or closed the connection");
}

std::unexpected<Error> Peer::connect_failure(int error) const {
    if (error == EAGAIN)
        return fail(Code::timeout, operation(), path_, "other programs are waiting there");
    auto failure = fail_errno(error, operation(), path_);
    if (error == ENOENT || error == ECONNREFUSED)
        failure.error().hint = fmt::format("does {} run, with this socket?", vmm_);
    return failure;
}

Result<Peer> Peer::connect(const std::string& vmm, const std::string& path,
                           std::chrono::milliseconds timeout) {
    Peer peer(UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), vmm, path);
    VFB_TRY(const auto address, address_of(peer.operation(), path));
    const int on = 1;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
    const timeval limit{.tv_sec = std::max<time_t>(seconds.count(), 1), .tv_usec = 0};
    const int socket = peer.socket_.get();
    // Before connect(2), so that the first message comes with credentials. The limit is for
    // connect(2), too, which waits where others wait already.
    if (!peer.socket_ || ::setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
        ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0)
        return fail_errno(errno, peer.operation(), path);
    // NOLINTNEXTLINE(*-reinterpret-cast): how the sockets API spells inheritance
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    while (::connect(socket, generic, sizeof address) != 0)
        if (errno != EINTR) return peer.connect_failure(errno);
    return peer;
}

Result<> Peer::send(const std::string& text, int descriptor) {
    std::size_t sent = 0;
    while (sent < text.size()) {
        iovec data{.iov_base = const_cast<char*>(text.data()) + sent,
                   .iov_len = text.size() - sent};
        msghdr header{};
        header.msg_iov = &data;
        header.msg_iovlen = 1;
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
        if (descriptor >= 0 && sent == 0) {
            header.msg_control = control.data();
            header.msg_controllen = control.size();
            cmsghdr* part = CMSG_FIRSTHDR(&header);
            part->cmsg_level = SOL_SOCKET;
            part->cmsg_type = SCM_RIGHTS;
            part->cmsg_len = CMSG_LEN(sizeof descriptor);
            std::memcpy(CMSG_DATA(part), &descriptor, sizeof descriptor);
        }
        const ssize_t count = ::sendmsg(socket_.get(), &header, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && (errno == EPIPE || errno == ECONNRESET)) return lost();
        if (count < 0 && errno == EAGAIN)
            return fail(Code::timeout, operation(), path_, vmm_ + " does not read");
        if (count < 0) return fail_errno(errno, operation(), path_);
        sent += static_cast<std::size_t>(count);
    }
    return {};
}

Result<std::string> Peer::receive(const Deadline& deadline) {
    for (;;) {
        pollfd poll{.fd = socket_.get(), .events = POLLIN, .revents = 0};
        const int ready = ::poll(&poll, 1, deadline.poll_timeout());
        if (ready < 0 && errno == EINTR) continue;
        if (ready < 0) return fail_errno(errno, operation(), path_);
        if (ready == 0) return fail(Code::timeout, operation(), path_, "no answer came in time");
        std::array<char, 16384> buffer{};
        alignas(cmsghdr) std::array<char, 512> control{};
        iovec data{.iov_base = buffer.data(), .iov_len = buffer.size()};
        msghdr header{};
        header.msg_iov = &data;
        header.msg_iovlen = 1;
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        const ssize_t count = ::recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (count < 0 && errno != ECONNRESET) return fail_errno(errno, operation(), path_);
        if (count <= 0) return lost();
        if (const auto sender = read_control(header)) sender_ = *sender;
        return std::string(buffer.data(), static_cast<std::size_t>(count));
    }
}

}  // namespace vfb::vmm
