// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink_socket.hpp"

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/socket.h>
#include <poll.h>
#include <sys/socket.h>

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

constexpr const char* kTalk = "talk to the kernel's rtnetlink";

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
                    std::vector<Answer>& answers) {
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

Result<NetlinkSocket> NetlinkSocket::open() {
    std::unique_ptr<nl_sock, FreeSocket> socket(nl_socket_alloc());
    if (!socket) return fail_errno(ENOMEM, kTalk, {});
    if (const int error = nl_connect(socket.get(), NETLINK_ROUTE); error < 0)
        return fail(Code::failed, kTalk, {}, nl_geterror(error));
    const int fd = nl_socket_get_fd(socket.get());
    set_option(fd, SOL_SOCKET, SO_RCVBUF, kReceiveBuffer);
    set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, kReceiveBuffer);
    set_option(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
    // An acknowledgement repeats the request's header only.
    set_option(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
    return NetlinkSocket(std::move(socket));
}

Result<> NetlinkSocket::send(const std::vector<Message>& messages, std::uint32_t first) {
    std::vector<std::byte> batch;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        nlmsghdr* const header = nlmsg_hdr(messages[i].get());
        header->nlmsg_seq = first + static_cast<std::uint32_t>(i);
        const auto* const bytes = reinterpret_cast<const std::byte*>(header);
        batch.insert(batch.end(), bytes, bytes + header->nlmsg_len);
        batch.resize(NLMSG_ALIGN(batch.size()));
    }
    const int fd = nl_socket_get_fd(socket_.get());
    ssize_t sent;
    do sent = ::send(fd, batch.data(), batch.size(), 0);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) return fail_errno(errno, kTalk, {}, "sending the request");
    return {};
}

Result<std::vector<std::byte>> NetlinkSocket::receive() {
    const int fd = nl_socket_get_fd(socket_.get());
    const Deadline deadline(kAnswerTimeout);
    pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
    int ready;
    do ready = ::poll(&wait, 1, deadline.poll_timeout());
    while (ready < 0 && errno == EINTR);
    if (ready < 0) return fail_errno(errno, kTalk, {}, "waiting for the answer");
    if (ready == 0) return fail(Code::timeout, kTalk, {}, "it did not answer within 5 seconds");
    // The length first, so that nothing is ever cut.
    const ssize_t size = ::recv(fd, nullptr, 0, MSG_PEEK | MSG_TRUNC);
    if (size < 0) return fail_errno(errno, kTalk, {}, "reading the answer");
    std::vector<std::byte> data(static_cast<std::size_t>(size));
    sockaddr_nl sender{};
    socklen_t length = sizeof(sender);
    if (::recvfrom(fd, data.data(), data.size(), 0, reinterpret_cast<sockaddr*>(&sender), &length) <
        0)
        return fail_errno(errno, kTalk, {}, "reading the answer");
    if (sender.nl_pid != 0) data.clear();  // from another process: nothing that was asked for
    return data;
}

Result<std::vector<Answer>> NetlinkSocket::transact(const std::vector<Message>& messages) {
    std::vector<Answer> answers(messages.size());
    const auto first = sequence_ + 1;
    sequence_ += static_cast<std::uint32_t>(messages.size());
    VFB_CHECK(send(messages, first));
    for (std::size_t settled = 0; settled < answers.size();) {
        VFB_TRY(const auto data, receive());
        settled += sort_in(data, first, answers);
    }
    return answers;
}

}  // namespace vfb::nic
