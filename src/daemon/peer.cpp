// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer.hpp"

#include <sys/socket.h>

#include <cerrno>

namespace vfb::daemon {

Result<broker::Caller> identify_peer(const SysRoot& root, int socket) {
    const std::string operation = "identify the peer of a connection";
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return fail_errno(errno, operation, "connection");
    broker::Caller caller;
    caller.uid = credentials.uid;
    caller.gids.resize(64);
    for (;;) {
        size = static_cast<socklen_t>(caller.gids.size() * sizeof(gid_t));
        if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, caller.gids.data(), &size) == 0) break;
        if (errno != ERANGE) return fail_errno(errno, operation, "connection");
        caller.gids.resize(size / sizeof(gid_t));  // the kernel said how many there are
    }
    caller.gids.resize(size / sizeof(gid_t));
    caller.gids.push_back(credentials.gid);
    // A peer that has ended already leaves pid 0 start time 0: it can hold no lease, and its calls
    // are answered into the void.
    caller.process.pid = credentials.pid;
    if (auto process = identify_process(root.proc(), credentials.pid)) caller.process = *process;
    return caller;
}

}  // namespace vfb::daemon
