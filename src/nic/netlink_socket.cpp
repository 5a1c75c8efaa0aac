// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink_socket.hpp"

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/socket.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <span>

#include "base/deadline.hpp"

namespace vfb::nic {
namespace {

// A VF is about 200 bytes of answer: room for the largest PF several times over.
constexpr int kReceiveBuffer = 4 * 1024 * 1024;
// All answers stand in the socket when send() returns; waiting guards against one that was lost.
constexpr std::chrono::seconds kAnswerTimeout{5};

// A send must fit into the socket's buffer, and its answers, each about a KiB with what the kernel
// keeps of it, into the other's.
constexpr unsigned kMostBytes = 128 * 1024;
constexpr std::size_t kMostMessages = 2048;
// An acknowledgement is a header, an errno and perhaps a sentence of the driver.
constexpr std::size_t kAcknowledgement = 1024;
constexpr std::size_t kAtOnce = 32;

constexpr const char* kTalk = "talk to the kernel by netlink";

void set_option(int fd, int level, int option, int value) {
    // Without them errors have fewer words or ENOBUFS comes earlier; nothing else depends on it.
    (void)::setsockopt(fd, level, option, &value, sizeof(value));
}

// The kernel's words in an NLMSG_ERROR (uapi/linux/netlink.h, NLMSGERR_ATTR_MSG).
std::string extended_text(const nlmsghdr& header, std::span<const std::byte> message,
                          const nlmsgerr& error) {
    if ((header.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return {};
    std::size_t offset = NLMSG_HDRLEN + sizeof(nlmsgerr);
    if ((header.nlmsg_flags & NLM_F_CAPPED) == 0)
        offset += NLMSG_ALIGN(error.msg.nlmsg_len) - sizeof(nlmsghdr);
    if (offset >= message.size()) return {};
    const auto rest = message.subspan(offset);
    const auto* const text = nla_find(reinterpret_cast<const nlattr*>(rest.data()),
                                      static_cast<int>(rest.size()), NLMSGERR_ATTR_MSG);
    if (text == nullptr) return {};
    const auto* const chars = static_cast<const char*>(nla_data(text));
    return {chars, strnlen(chars, static_cast<std::size_t>(nla_len(text)))};
}

// Which request a message answers; nullopt: none of these (late answers of an earlier batch).
std::optional<std::size_t> request_of(const nlmsghdr& header, std::uint32_t first,
                                      std::size_t count) {
    const std::uint32_t offset = header.nlmsg_seq - first;
    if (offset >= count) return std::nullopt;
    return offset;
}

// Sorts one datagram's messages into `answers`; returns how many requests it settled.
std::size_t sort_in(std::span<const std::byte> data, std::uint32_t first,
                    std::span<Answer> answers) {
    std::size_t settled = 0;
    while (data.size() >= NLMSG_HDRLEN) {
        nlmsghdr header;
        std::memcpy(&header, data.data(), sizeof(header));
        if (header.nlmsg_len < NLMSG_HDRLEN || header.nlmsg_len > data.size()) break;
        const auto message = data.first(header.nlmsg_len);
        if (const auto request = request_of(header, first, answers.size())) {
            auto& answer = answers[*request];
            if (header.nlmsg_type == NLMSG_ERROR &&
                header.nlmsg_len >= NLMSG_HDRLEN + sizeof(nlmsgerr)) {
                nlmsgerr error;
                std::memcpy(&error, message.data() + NLMSG_HDRLEN, sizeof(error));
                answer.errnum = -error.error;
                answer.text = extended_text(header, message, error);
                ++settled;
            } else {
                answer.message.assign(message.begin(), message.end());
            }
        }
        data = data.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), data.size()));
    }
    return settled;
}

}  // namespace

void NetlinkSocket::FreeSocket::operator()(nl_sock* socket) const {
    nl_socket_free(socket);
}

NetlinkSocket::NetlinkSocket(std::unique_ptr<nl_sock, FreeSocket> socket)
    : socket_(std::move(socket)) {}

Result<NetlinkSocket> NetlinkSocket::open(int protocol) {
    std::unique_ptr<nl_sock, FreeSocket> socket(nl_socket_alloc());
    if (!socket) return fail_errno(ENOMEM, kTalk, {});
    if (const int error = nl_connect(socket.get(), protocol); error < 0)
        return fail(Code::failed, kTalk, {}, nl_geterror(error));
    const int fd = nl_socket_get_fd(socket.get());
    set_option(fd, SOL_SOCKET, SO_RCVBUF, kReceiveBuffer);
    set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, kReceiveBuffer);
    set_option(fd, SOL_SOCKET, SO_SNDBUF,
               static_cast<int>(kMostBytes));  // of which the kernel makes the double
    set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, static_cast<int>(kMostBytes));
    set_option(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
    // An acknowledgement repeats the request's header only.
    set_option(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
    return NetlinkSocket(std::move(socket));
}

int NetlinkSocket::fd() const {
    return nl_socket_get_fd(socket_.get());
}

Result<> NetlinkSocket::send(std::span<const std::byte> bytes) const {
    ssize_t sent;
    do sent = ::send(fd(), bytes.data(), bytes.size(), 0);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) return fail_errno(errno, kTalk, {}, "sending the request");
    return {};
}

Result<> NetlinkSocket::wait() const {
    const Deadline deadline(kAnswerTimeout);
    pollfd wait{.fd = fd(), .events = POLLIN, .revents = 0};
    int ready;
    do ready = ::poll(&wait, 1, deadline.poll_timeout());
    while (ready < 0 && errno == EINTR);
    if (ready < 0) return fail_errno(errno, kTalk, {}, "waiting for the answer");
    if (ready == 0) return fail(Code::timeout, kTalk, {}, "it did not answer within 5 seconds");
    return {};
}

Result<std::vector<std::byte>> NetlinkSocket::receive() const {
    VFB_CHECK(wait());
    // The length first, so that nothing is ever cut.
    const ssize_t size = ::recv(fd(), nullptr, 0, MSG_PEEK | MSG_TRUNC);
    if (size < 0) return fail_errno(errno, kTalk, {}, "reading the answer");
    std::vector<std::byte> data(static_cast<std::size_t>(size));
    sockaddr_nl sender{};
    socklen_t length = sizeof(sender);
    if (::recvfrom(fd(), data.data(), data.size(), 0, reinterpret_cast<sockaddr*>(&sender),
                   &length) < 0)
        return fail_errno(errno, kTalk, {}, "reading the answer");
    if (sender.nl_pid != 0) data.clear();  // from another process: nothing that was asked for
    return data;
}

// Room for many acknowledgements, each a datagram: a system call for each would cost as much as the
// request.
class NetlinkSocket::Acknowledgements {
public:
    Acknowledgements() {
        for (std::size_t i = 0; i < kAtOnce; ++i) {
            parts_[i] = {.iov_base = bytes_.data() + i * kAcknowledgement,
                         .iov_len = kAcknowledgement};
            msghdr& header = headers_[i].msg_hdr;
            header.msg_name = &senders_[i];
            header.msg_iov = &parts_[i];
            header.msg_iovlen = 1;
        }
    }
    // What is there, sorted into `answers`: how many requests it settled.
    Result<std::size_t> receive(int fd, std::uint32_t first, std::span<Answer> answers) {
        for (auto& header : headers_) header.msg_hdr.msg_namelen = sizeof(sockaddr_nl);
        const int count = ::recvmmsg(fd, headers_.data(), kAtOnce, MSG_DONTWAIT, nullptr);
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
        if (count < 0) return fail_errno(errno, kTalk, {}, "reading the answers");
        std::size_t settled = 0;
        for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
            if ((headers_[i].msg_hdr.msg_flags & MSG_TRUNC) != 0)
                return fail(Code::failed, kTalk, {}, "an acknowledgement is longer than any known");
            if (senders_[i].nl_pid != 0) continue;  // another process: nothing that was asked for
            const auto data = std::span(bytes_).subspan(i * kAcknowledgement, headers_[i].msg_len);
            settled += sort_in(data, first, answers);
        }
        return settled;
    }

private:
    alignas(nlmsghdr) std::array<std::byte, kAtOnce * kAcknowledgement> bytes_;
    std::array<sockaddr_nl, kAtOnce> senders_{};
    std::array<iovec, kAtOnce> parts_{};
    std::array<mmsghdr, kAtOnce> headers_{};
};

Result<Answer> NetlinkSocket::ask(Messages message) {
    std::array<Answer, 1> answers;
    message.number(0, ++sequence_);
    VFB_CHECK(send(message.bytes(0, 1)));
    for (std::size_t settled = 0; settled == 0;) {
        VFB_TRY(const auto data, receive());
        settled = sort_in(data, sequence_, answers);
    }
    return std::move(answers.front());
}

Result<std::vector<Answer>> NetlinkSocket::transact(Messages messages) {
    std::vector<Answer> answers(messages.size());
    Acknowledgements received;
    const auto first = sequence_ + 1;
    for (std::size_t i = 0; i < messages.size(); ++i) messages.number(i, ++sequence_);
    for (std::size_t begin = 0, end = 0; begin < messages.size(); begin = end) {
        const std::size_t most = messages.start(begin) + kMostBytes;
        do ++end;
        while (end < messages.size() && messages.start(end + 1) <= most &&
               end - begin < kMostMessages);
        VFB_CHECK(send(messages.bytes(begin, end)));
        for (std::size_t settled = begin; settled < end;) {
            VFB_TRY(const auto more, received.receive(fd(), first, answers));
            if (more == 0) VFB_CHECK(wait());
            settled += more;
        }
    }
    return answers;
}

}  // namespace vfb::nic
