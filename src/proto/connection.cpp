// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The sending half of Connection; receive.cpp has the other.
#include "proto/connection.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "rights.hpp"

namespace vfb::proto {
namespace {

void attach(msghdr& header, Control& control, const std::vector<UniqueFd>& descriptors) {
    const std::size_t size = sizeof(int) * descriptors.size();
    header.msg_control = control.bytes.data();
    header.msg_controllen = CMSG_SPACE(size);
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    if (rights == nullptr) return;  // never: the control data has room for one
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(size);
    unsigned char* at = CMSG_DATA(rights);
    for (const auto& descriptor : descriptors) {
        const int fd = descriptor.get();
        std::memcpy(at, &fd, sizeof fd);
        at += sizeof fd;
    }
}

}  // namespace

Connection::Connection(UniqueFd socket, Limits limits)
    : socket_(std::move(socket)), limits_(limits) {
    const int flags = ::fcntl(socket_.get(), F_GETFL);
    if (flags >= 0) ::fcntl(socket_.get(), F_SETFL, flags | O_NONBLOCK);
}

std::unexpected<Error> Connection::break_off(Error error) {
    incoming_ = {};
    begin_ = scanned_ = 0;
    arrived_.clear();
    outgoing_.clear();
    queued_ = 0;
    broken_ = error;
    return std::unexpected(std::move(error));
}

Result<> Connection::send(const Json& body, std::vector<UniqueFd> descriptors) {
    // Text from the kernel need not be UTF-8; the wire must be.
    return send_text(std::make_shared<const std::string>(
                         body.dump(-1, ' ', false, Json::error_handler_t::replace)),
                     std::move(descriptors));
}

Result<> Connection::send_text(Text body, std::vector<UniqueFd> descriptors) {
    if (broken_) return std::unexpected(*broken_);
    if (deaf_) return std::unexpected(*deaf_);
    if (body->find('\0') != std::string::npos)
        return fail(Code::invalid, "send a message", {}, "it has a NUL in it");
    if (descriptors.size() > std::min(limits_.descriptors, kScmMaxFd))
        return fail(Code::invalid, "send a message", {},
                    fmt::format("{} descriptors are more than fit", descriptors.size()));
    // std::string keeps the NUL that ends a message behind its last byte.
    const std::size_t size = body->size() + 1;
    if (queued_ + size > limits_.queued_bytes)
        return fail(Code::exhausted, "send a message", {},
                    fmt::format("the peer has left {} bytes unread", queued_));
    queued_ += size;
    outgoing_.push_back(
        {.text = std::move(body), .size = size, .descriptors = std::move(descriptors), .sent = 0});
    return {};
}

// One sendmsg(2): the receiver relies on a message with descriptors starting its own.
Result<bool> Connection::send_some(Outgoing& message) {
    Control control;
    // sendmsg(2) takes what it only reads without const.
    iovec data{.iov_base = const_cast<char*>(message.text->c_str()) + message.sent,
               .iov_len = message.size - message.sent};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    if (!message.descriptors.empty()) attach(header, control, message.descriptors);
    const ssize_t count = ::sendmsg(socket_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0) {
        const int error = errno;
        if (error == EAGAIN) return false;
        if (error == EINTR) return true;
        auto failure = fail_errno(error, "send a message", {});
        if (error != EPIPE && error != ECONNRESET) return break_off(std::move(failure.error()));
        // What the peer said before it hung up can still be read: it may be why.
        outgoing_.clear();
        queued_ = 0;
        failure.error().code = Code::lost;
        deaf_ = failure.error();
        return failure;
    }
    message.descriptors.clear();
    message.sent += static_cast<std::size_t>(count);
    queued_ -= static_cast<std::size_t>(count);
    return true;
}

Result<bool> Connection::flush() {
    if (broken_) return std::unexpected(*broken_);
    if (deaf_) return std::unexpected(*deaf_);
    while (!outgoing_.empty()) {
        VFB_TRY(const bool taken, send_some(outgoing_.front()));
        if (!taken) return false;
        if (outgoing_.front().sent == outgoing_.front().size) outgoing_.pop_front();
    }
    return true;
}

}  // namespace vfb::proto
