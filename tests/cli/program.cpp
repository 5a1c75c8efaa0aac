// SPDX-License-Identifier: GPL-2.0-or-later
#include "program.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <sstream>

namespace vfb::test {
namespace {

std::string content_of(const UniqueFd& file) {
    std::string all;
    std::array<char, 4096> buffer{};
    ssize_t count = 0;
    while ((count = ::pread(file.get(), buffer.data(), buffer.size(),
                            static_cast<off_t>(all.size()))) > 0)
        all.append(buffer.data(), static_cast<std::size_t>(count));
    return all;
}

}  // namespace

Outcome run_program(const std::vector<std::string>& arguments) {
    const UniqueFd out(::memfd_create("stdout", MFD_CLOEXEC));
    const UniqueFd err(::memfd_create("stderr", MFD_CLOEXEC));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out.get(), 1);
    posix_spawn_file_actions_adddup2(&actions, err.get(), 2);
    std::vector<std::string> words{"vfbroker"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    std::string path = "PATH=/usr/bin:/bin";
    std::string locale = "LC_ALL=C";
    const std::array<char*, 3> environment{path.data(), locale.data(), nullptr};
    Outcome outcome;
    const int failed = ::posix_spawn(&outcome.pid, VFB_PROGRAM, &actions, nullptr, argv.data(),
                                     environment.data());
    posix_spawn_file_actions_destroy(&actions);
    EXPECT_EQ(failed, 0);
    int status = 0;
    EXPECT_EQ(::waitpid(outcome.pid, &status, 0), outcome.pid);
    outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    outcome.out = content_of(out);
    outcome.err = content_of(err);
    return outcome;
}

proto::Json recorded(const std::string& name) {
    return proto::Json::parse(read_file(std::string(VFB_DATA) + "/replies/" + name + ".json"));
}

std::string read_file(const std::string& path) {
    const std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

}  // namespace vfb::test
