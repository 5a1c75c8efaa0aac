// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <sstream>

namespace vfb::daemon {
namespace {

// proc(5) status `Uid`: real, effective, saved, of the file system.
using Uids = std::array<uid_t, 4>;

Result<Uids> uids_of(const Dir& proc, pid_t pid) {
    const std::string name = std::to_string(pid) + "/status";
    VFB_TRY(const auto text, proc.read(name));
    constexpr std::string_view kLine = "\nUid:";
    const auto at = text.find(kLine);
    Uids uids{};
    std::istringstream fields(at == std::string::npos ? "" : text.substr(at + kLine.size()));
    for (uid_t& uid : uids) fields >> uid;
    if (!fields)
        return fail(Code::failed, fmt::format("identify process {}", pid), std::to_string(pid),
                    "cannot read " + proc.path(name));
    return uids;
}

}  // namespace

Result<broker::Caller> identify_peer(const SysRoot& root, int socket,
                                     std::optional<gid_t> administrators) {
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
    caller.administrator =
        administrators && std::ranges::find(caller.gids, *administrators) != caller.gids.end();
    // A peer that has ended already leaves pid 0 start time 0: it can hold no lease, and its calls
    // are answered into the void.
    caller.process.pid = credentials.pid;
    if (auto process = identify_process(root.proc(), credentials.pid)) {
        caller.process = *process;
        caller.command = process_name(root.proc(), credentials.pid);
    }
    return caller;
}

Result<broker::User> identify_user(const SysRoot& root, const broker::Caller& caller,
                                   const ProcessId& process) {
    const std::string operation = fmt::format("lease for process {}", process.pid);
    const std::string subject = std::to_string(process.pid);
    VFB_TRY(const auto uids, uids_of(root.proc(), process.pid));
    // After its uids were read: they are those of the process that is meant, or of none.
    VFB_TRY(const auto now, identify_process(root.proc(), process.pid));
    if (now != process)
        return fail(Code::not_found, operation, subject,
                    "it has ended and its number belongs to another, or it is of another PID "
                    "namespace than vfbrokerd");
    const bool own = std::ranges::all_of(uids, [&](uid_t uid) { return uid == caller.uid; });
    if (!own && caller.uid != 0)
        return fail(Code::denied, operation, subject,
                    fmt::format("it runs as user {}, and you are user {}", uids[1], caller.uid),
                    "ask as that user, or as root");
    return broker::User{.uid = uids[1], .process = process};
}

}  // namespace vfb::daemon
