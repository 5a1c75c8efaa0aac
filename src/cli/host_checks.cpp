// SPDX-License-Identifier: GPL-2.0-or-later
#include "host_checks.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <vector>

#include "base/process.hpp"
#include "base/unique_fd.hpp"

namespace vfb::cli {
namespace {

constexpr const char* kHint = "vfbrokerd belongs to the same package as vfbroker";

std::string find_daemon() {
    if (const auto own = own_program()) {
        const auto beside = own->substr(0, own->rfind('/')) + "/../sbin/vfbrokerd";
        if (::access(beside.c_str(), X_OK) == 0) return beside;
    }
    return "vfbrokerd";
}

// A run of the daemon's program.
struct Program {
    const char* operation;
    std::string path;
    std::vector<std::string> words;  // of its command line, without the first
};

// Its process, with its standard output on `out`.
Result<pid_t> start(const Program& program, int out) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    std::vector<std::string> words = program.words;
    words.insert(words.begin(), program.path);
    std::vector<char*> pointers;
    for (auto& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    pid_t pid = 0;
    const int failed =
        ::posix_spawnp(&pid, program.path.c_str(), &actions, nullptr, pointers.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed == 0) return pid;
    Error error =
        fail_errno(failed, program.operation, program.path,
                   fmt::format("cannot run {} {}", program.path, program.words.front()), kHint)
            .error();
    error.code = Code::failed;  // not that a function was not found
    return std::unexpected(std::move(error));
}

// Its exit status; nullopt: a signal ended it.
std::optional<int> wait_for(pid_t pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? std::optional(WEXITSTATUS(status)) : std::nullopt;
}

std::unexpected<Error> failed(const Program& program) {
    return fail(Code::failed, program.operation, program.path,
                fmt::format("{} {} failed", program.path, program.words.front()), kHint);
}

Result<std::string> read_all(int fd) {
    std::string text;
    std::array<char, 4096> buffer{};
    for (;;) {
        const ssize_t n = ::read(fd, buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, "read what it says", "vfbrokerd");
        if (n == 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(n));
    }
}

}  // namespace

Result<proto::Json> check_host() {
    const Program program{
        .operation = "check this host", .path = find_daemon(), .words = {"--doctor"}};
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return fail_errno(errno, program.operation, "vfbrokerd");
    const UniqueFd in(ends[0]);
    UniqueFd out(ends[1]);
    VFB_TRY(const pid_t pid, start(program, out.get()));
    out.reset();
    const auto text = read_all(in.get());
    const auto status = wait_for(pid);
    if (!text) return std::unexpected(text.error());
    auto reply = proto::Json::parse(*text, nullptr, false);
    if (status != 0 || !reply.is_object()) return failed(program);
    return reply;
}

Result<int> check_configuration(const std::string& directory, bool json) {
    Program program{
        .operation = "check the configuration", .path = find_daemon(), .words = {"--check"}};
    if (!directory.empty()) program.words.push_back(directory);
    if (json) program.words.emplace_back("--json");
    VFB_TRY(const pid_t pid, start(program, STDOUT_FILENO));
    const auto status = wait_for(pid);
    if (!status) return failed(program);
    return *status;
}

}  // namespace vfb::cli
