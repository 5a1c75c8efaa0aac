// SPDX-License-Identifier: GPL-2.0-or-later
//
// Peer: a VMM at a Unix socket of its own: bytes, descriptors, and which process sends.
#pragma once

#include <chrono>
#include <string>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace vfb::vmm {

class Peer {
public:
    // `vmm` is for messages: `QEMU`. Code::timeout where others wait already.
    static Result<Peer> connect(const std::string& vmm, const std::string& path,
                                std::chrono::milliseconds timeout);

    // All of `text`; `descriptor`, if any, with its first byte.
    Result<> send(const std::string& text, int descriptor = -1);
    // What is there next, at least a byte; Code::lost at the end, Code::timeout.
    Result<std::string> receive(const Deadline& deadline);

    // The process that sent what was received last: the kernel says so with each message (unix(7)
    // SCM_CREDENTIALS), which is right also where another process made the socket.
    [[nodiscard]] pid_t sender() const { return sender_; }
    [[nodiscard]] const std::string& path() const { return path_; }
    // `talk to QEMU at PATH`
    [[nodiscard]] std::string operation() const;
    [[nodiscard]] std::unexpected<Error> protocol_error(std::string reason,
                                                        std::string hint = {}) const;

private:
    Peer(UniqueFd socket, std::string vmm, std::string path)
        : socket_(std::move(socket)), vmm_(std::move(vmm)), path_(std::move(path)) {}
    [[nodiscard]] std::unexpected<Error> lost() const;
    [[nodiscard]] std::unexpected<Error> connect_failure(int error) const;

    UniqueFd socket_;
    std::string vmm_;
    std::string path_;
    pid_t sender_ = 0;
};

}  // namespace vfb::vmm
