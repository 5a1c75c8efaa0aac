// SPDX-License-Identifier: GPL-2.0-or-later
#include "host_checks.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/process.hpp"
#include "base/unique_fd.hpp"

namespace vfb::cli {
namespace {

constexpr const char* kOperation = "check this host";
constexpr const char* kHint = "vfbrokerd belongs to the same package as vfbroker";

std::string find_daemon() {
    if (const auto own = own_program()) {
        const auto beside = own->substr(0, own->rfind('/')) + "/../sbin/vfbrokerd";
        if (::access(beside.c_str(), X_OK) == 0) return beside;
    }
    return "vfbrokerd";
}

// Its process, with its standard output on the pipe.
Result<pid_t> start(const std::string& program, int out) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    std::string name = program;
    std::string option = "--doctor";
    const std::array<char*, 3> words{name.data(), option.data(), nullptr};
    pid_t pid = 0;
    const int failed =
        ::posix_spawnp(&pid, program.c_str(), &actions, nullptr, words.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed == 0) return pid;
    Error error =
        fail_errno(failed, kOperation, program, "cannot run " + program + " --doctor", kHint)
            .error();
    error.code = Code::failed;  // not that a function was not found
    return std::unexpected(std::move(error));
}

Result<std::string> read_all(int fd) {
    std::string text;
    std::array<char, 4096> buffer{};
    for (;;) {
        const ssize_t n = ::read(fd, buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, kOperation, "vfbrokerd");
        if (n == 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(n));
    }
}

}  // namespace

Result<proto::Json> check_host() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, kOperation, "vfbrokerd");
    const UniqueFd in(ends[0]);
    UniqueFd out(ends[1]);
    const auto program = find_daemon();
    VFB_TRY(const pid_t pid, start(program, out.get()));
    out.reset();
    const auto text = read_all(in.get());
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!text) return std::unexpected(text.error());
    auto reply = proto::Json::parse(*text, nullptr, false);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || !reply.is_object())
        return fail(Code::failed, kOperation, program, program + " --doctor failed", kHint);
    return reply;
}

}  // namespace vfb::cli
