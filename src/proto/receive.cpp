// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The receiving half of Connection.
//
// Cost is linear in what is received: each byte is looked for a NUL once, and bytes are moved only
// when a message has been taken, which leaves no more than one read behind it.
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "json_shape.hpp"
#include "proto/connection.hpp"
#include "rights.hpp"

namespace vfb::proto {
namespace {

constexpr std::size_t kReadBytes = 64 << 10;
Error violation(std::string reason) {
    return fail(Code::protocol, "read a message", {}, std::move(reason)).error();
}

}  // namespace

Result<Json> parse_object(std::string_view text, const Limits& limits) {
    if (const auto problem = shape_problem(text, limits); !problem.empty())
        return std::unexpected(violation(std::string(problem)));
    auto body = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
    if (body.is_discarded()) return std::unexpected(violation("it is not valid JSON"));
    if (!body.is_object()) return std::unexpected(violation("it is not a JSON object"));
    return body;
}

Result<Connection::ReceivedText> Connection::receive_text() {
    if (broken_) return std::unexpected(*broken_);
    ReceivedText out;
    if (auto done = receive_into(out); !done) {
        auto failure = break_off(std::move(done.error()));
        if (out.messages.empty()) return failure;
        out.more = true;  // the error is for the next call
    }
    return out;
}

Result<Connection::Received> Connection::receive() {
    VFB_TRY(auto texts, receive_text());
    Received out{.messages = {}, .closed = texts.closed, .more = texts.more};
    for (auto& message : texts.messages) {
        auto body = parse_object(message.text, limits_);
        if (body) {
            out.messages.push_back(
                {.body = std::move(*body), .descriptors = std::move(message.descriptors)});
            continue;
        }
        auto failure = break_off(std::move(body.error()));
        if (out.messages.empty()) return failure;
        out.closed = false;
        out.more = true;
        break;
    }
    return out;
}

Result<> Connection::receive_into(ReceivedText& out) {
    std::size_t bytes = 0;
    while (true) {
        VFB_TRY(const bool found, next_message(out));
        if (found) {
            out.more = out.messages.size() >= limits_.batch;
            if (out.more) return {};
            continue;
        }
        if (closed_) break;
        // One busy peer must not keep the event loop from the others.
        out.more = bytes >= limits_.message_bytes;
        if (out.more) return {};
        VFB_TRY(const std::size_t count, read_some());
        if (count == 0 && !closed_) return {};
        bytes += count;
    }
    if (incoming_.size() > begin_)
        return std::unexpected(violation("the peer hung up in the middle of it"));
    out.closed = true;
    return {};
}

// Takes one whole message out of the input, if there is one.
Result<bool> Connection::next_message(ReceivedText& out) {
    const auto nul = incoming_.find('\0', scanned_);
    const std::size_t end = nul == std::string::npos ? incoming_.size() : nul;
    if (end - begin_ > limits_.message_bytes)
        return std::unexpected(
            violation(fmt::format("it is longer than {} bytes", limits_.message_bytes)));
    if (nul == std::string::npos) {
        scanned_ = incoming_.size();
        return false;
    }
    TextMessage message;
    while (!arrived_.empty() && arrived_.front().begin <= end) {
        std::ranges::move(arrived_.front().fds, std::back_inserter(message.descriptors));
        arrived_.pop_front();
    }
    if (begin_ == 0 && end + 1 == incoming_.size()) {
        incoming_.resize(end);
        message.text = std::move(incoming_);
        incoming_.clear();
        scanned_ = 0;
    } else {
        message.text = incoming_.substr(begin_, end - begin_);
        begin_ = scanned_ = end + 1;
    }
    out.messages.push_back(std::move(message));
    return true;
}

// Bytes that were there; 0 when there are none now or (closed_) ever again.
Result<std::size_t> Connection::read_some() {
    if (begin_ > 0) {
        for (auto& batch : arrived_) batch.begin -= begin_;
        incoming_.erase(0, begin_);
        scanned_ -= begin_;
        begin_ = 0;
    }
    const std::size_t old = incoming_.size();
    // Appended without being cleared first: the kernel is about to fill it.
    incoming_.resize_and_overwrite(old + kReadBytes, [](char*, std::size_t size) { return size; });
    Control control;
    iovec data{.iov_base = incoming_.data() + old, .iov_len = kReadBytes};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    // Without room for them the kernel drops descriptors and says so: none is ever opened here.
    header.msg_control = limits_.accept_descriptors ? control.bytes.data() : nullptr;
    header.msg_controllen = limits_.accept_descriptors ? control.bytes.size() : 0;
    const ssize_t count = ::recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    const int error = errno;
    incoming_.resize(old + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count < 0 && (error == EAGAIN || error == EINTR)) return 0;
    if (count < 0 && error != ECONNRESET)
        return std::unexpected(fail_errno(error, "read a message", {}).error());
    closed_ = count <= 0;
    if (count <= 0) return 0;
    VFB_CHECK(take_descriptors(header, old));
    return static_cast<std::size_t>(count);
}

// recvmsg(2) may join what was sent apart, but stops behind the first part that has descriptors.
// A message with descriptors starts a part and ends it, so they belong to the last message that
// begins in this read.
Result<> Connection::take_descriptors(msghdr& header, std::size_t read_from) {
    std::vector<UniqueFd> fds;
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr;
         part = CMSG_NXTHDR(&header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            fds.emplace_back(fd);
        }
    }
    if ((header.msg_flags & MSG_CTRUNC) != 0)
        return std::unexpected(
            violation(limits_.accept_descriptors
                          ? "descriptors were lost (is this process at its limit of open files?)"
                          : "it carries descriptors, which are not taken here"));
    if (fds.empty()) return {};
    if (fds.size() > limits_.descriptors)
        return std::unexpected(
            violation(fmt::format("it carries more than {} descriptors", limits_.descriptors)));
    const std::size_t last = incoming_.size() - 1;
    const auto nul = std::string_view(incoming_).substr(0, last).rfind('\0');
    const bool found = nul != std::string_view::npos && nul >= read_from;
    if (!found && read_from != begin_)
        return std::unexpected(violation("descriptors arrived in the middle of it"));
    arrived_.push_back({.begin = found ? nul + 1 : begin_, .fds = std::move(fds)});
    return {};
}

}  // namespace vfb::proto
