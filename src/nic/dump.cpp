// SPDX-License-Identifier: GPL-2.0-or-later
#include "dump.hpp"

#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

#include <memory>

namespace vfb::nic {
namespace {

using Socket = std::unique_ptr<nl_sock, decltype(&nl_socket_free)>;
using Each = std::function<void(nlmsghdr*)>;

// Something changes all the time on a busy host; what was read five times is true enough.
constexpr int kTries = 5;

std::unexpected<Error> refused(int error) {
    const char* const operation = "read the network of the host";
    switch (-error) {
        case NLE_OBJ_NOTFOUND:
            return fail(Code::not_found, operation, {}, "there is none");
        case NLE_INVAL:
            return fail(Code::invalid, operation, {}, nl_geterror(error));
        case NLE_OPNOTSUPP:
        case NLE_PROTO_MISMATCH:
        case NLE_AF_NOSUPPORT:
            return fail(Code::unsupported, operation, {}, nl_geterror(error));
        default:
            return fail(Code::failed, operation, {}, nl_geterror(error));
    }
}

int on_valid(nl_msg* message, void* each) {
    (*static_cast<const Each*>(each))(nlmsg_hdr(message));
    return NL_OK;
}

int transact(int protocol, int type, int flags, std::span<const std::byte> request,
             const Each& each) {
    const Socket socket(nl_socket_alloc(), &nl_socket_free);
    if (!socket) return -NLE_NOMEM;
    if (const int error = nl_connect(socket.get(), protocol); error < 0) return error;
    // libnl takes what is handed through to the callback without const.
    nl_socket_modify_cb(socket.get(), NL_CB_VALID, NL_CB_CUSTOM, on_valid,
                        const_cast<void*>(static_cast<const void*>(&each)));
    // nl_send_simple() only reads it.
    if (const int error = nl_send_simple(socket.get(), type, flags,
                                         const_cast<std::byte*>(request.data()), request.size());
        error < 0)
        return error;
    return nl_recvmsgs_default(socket.get());
}

}  // namespace

Result<> dump(int protocol, int type, std::span<const std::byte> request, const Each& each) {
    int error = 0;
    for (int i = 0; i < kTries; ++i) {
        error = transact(protocol, type, NLM_F_DUMP, request, each);
        if (error != -NLE_DUMP_INTR) break;
    }
    if (error < 0 && error != -NLE_DUMP_INTR) return refused(error);
    return {};
}

Result<> ask(int protocol, int type, std::span<const std::byte> request, const Each& answer) {
    const int error = transact(protocol, type, 0, request, answer);
    if (error < 0) return refused(error);
    return {};
}

}  // namespace vfb::nic
