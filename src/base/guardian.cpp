// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/guardian.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace vfb {
namespace {

// Whether the other side said so before it went.
bool wait_for_dismissal(int fd) {
    char byte = 0;
    ssize_t count = 0;
    do {
        count = ::read(fd, &byte, 1);
    } while (count < 0 && errno == EINTR);
    return count == 1;
}

[[noreturn]] void guard(int fd, const std::function<void()>& prepare,
                        const std::function<void()>& rescue) {
    ::setsid();
    // Whoever reads our output must not wait for this process.
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (null) {
        ::dup2(null.get(), STDIN_FILENO);
        ::dup2(null.get(), STDOUT_FILENO);
    }
    prepare();
    if (!wait_for_dismissal(fd)) rescue();
    ::_exit(0);
}

}  // namespace

Result<Guardian> Guardian::start(const std::function<void()>& prepare,
                                 const std::function<void()>& rescue) {
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0)
        return fail_errno(errno, "start a guardian", "self");
    UniqueFd reading(pair[0]);
    UniqueFd writing(pair[1]);
    const pid_t child = ::fork();
    if (child < 0) return fail_errno(errno, "start a guardian", "self");
    if (child == 0) {
        writing.reset();
        guard(reading.get(), prepare, rescue);
    }
    return Guardian(child, std::move(writing));
}

void Guardian::dismiss() {
    if (!alive_) return;
    const char byte = 0;
    // It may have been killed: then there is nothing to dismiss.
    static_cast<void>(::send(alive_.get(), &byte, 1, MSG_NOSIGNAL));
    alive_.reset();
    while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

}  // namespace vfb
