// SPDX-License-Identifier: GPL-2.0-or-later
#include "execute.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

namespace vfb::cli {

Error execute(const std::vector<std::string>& words, const std::vector<int>& kept) {
    const std::string operation = "run " + words.front();
    const auto failure = [&](std::string reason) {
        return fail_errno(errno, operation, words.front(), std::move(reason)).error();
    };
    // Marked, not closed: when the program cannot be executed, the daemon must still be told.
    constexpr unsigned kFirst = STDERR_FILENO + 1;
    if (::close_range(kFirst, UINT_MAX, CLOSE_RANGE_CLOEXEC) != 0) return failure("close_range");
    for (const int fd : kept)
        if (::fcntl(fd, F_SETFD, 0) != 0) return failure("keep a descriptor open");
    std::vector<char*> arguments;
    for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    ::execvp(arguments.front(), arguments.data());
    const Error error = failure({});
    for (const int fd : kept) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    return error;
}

}  // namespace vfb::cli
