// SPDX-License-Identifier: GPL-2.0-or-later
//
// A socketpair with a Connection at one end, and raw bytes and descriptors at the other.
#pragma once

#include <sys/socket.h>

#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "proto/connection.hpp"

namespace vfb::proto::test {

class Pair {
public:
    explicit Pair(Limits limits = {}) : Pair(ends(), limits) {}

    Connection connection;
    UniqueFd peer;  // blocking

private:
    static std::array<UniqueFd, 2> ends();
    Pair(std::array<UniqueFd, 2> sockets, Limits limits)
        : connection(std::move(sockets[0]), limits), peer(std::move(sockets[1])) {}
};

// One sendmsg(2), in which the kernel must take everything.
void send_raw(const UniqueFd& socket, std::string_view bytes, std::span<const int> fds = {});
// The read end of a pipe.
UniqueFd some_descriptor();
// Descriptors that this process has open.
std::size_t open_descriptors();
// receive() until there is nothing more; fails the test on an error.
std::vector<Message> receive_all(Connection& connection);

}  // namespace vfb::proto::test
