// SPDX-License-Identifier: GPL-2.0-or-later
#include "pair.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace vfb::proto::test {

std::array<UniqueFd, 2> Pair::ends() {
    std::array<int, 2> fds{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0) std::abort();
    return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

void send_raw(const UniqueFd& socket, std::string_view bytes, std::span<const int> fds) {
    std::string data(bytes);
    std::vector<char> control(CMSG_SPACE(fds.size_bytes()));
    iovec part{.iov_base = data.data(), .iov_len = data.size()};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (!fds.empty()) {
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        cmsghdr* rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
    }
    ASSERT_EQ(::sendmsg(socket.get(), &header, MSG_NOSIGNAL), static_cast<ssize_t>(data.size()));
}

UniqueFd some_descriptor() {
    std::array<int, 2> fds{};
    if (::pipe2(fds.data(), O_CLOEXEC) != 0) std::abort();
    const UniqueFd write_end(fds[1]);
    return UniqueFd(fds[0]);
}

std::size_t open_descriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
        ++count;
    return count;
}

std::vector<Message> receive_all(Connection& connection) {
    std::vector<Message> all;
    while (true) {
        auto received = connection.receive();
        if (!received) {
            ADD_FAILURE() << received.error().message();
            return all;
        }
        for (auto& message : received->messages) all.push_back(std::move(message));
        if (!received->more) return all;
    }
}

}  // namespace vfb::proto::test
