// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/ssh_session.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace vfb {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

class SshSession : public testing::Test {
protected:
    SshSession() : root_(fs::path(testing::TempDir()) / ("ssh" + std::to_string(::getpid()))) {
        fs::remove_all(root_);
        fs::create_directories(root_);
    }
    ~SshSession() override { fs::remove_all(root_); }

    void add(pid_t pid, pid_t parent, const std::string& environment) const {
        const fs::path folder = root_ / std::to_string(pid);
        fs::create_directories(folder);
        std::ofstream(folder / "stat") << pid << " (a ) b) S " << parent << " 1 1 0 -1";
        std::ofstream(folder / "environ") << environment;
    }
    std::optional<std::string> client_of(pid_t pid) const {
        return ssh_client_of(Dir::open(root_.string()).value(), pid);
    }

private:
    fs::path root_;
};

TEST_F(SshSession, IsFoundInTheProcessItself) {
    add(20, 1, "HOME=/root\0SSH_CONNECTION=192.0.2.7 50022 192.0.2.1 22\0TERM=xterm\0"s);
    EXPECT_EQ(client_of(20), "192.0.2.7");
}

TEST_F(SshSession, IsFoundAboveSudo) {
    add(20, 1, "SSH_CONNECTION=2001:db8::7 50022 2001:db8::1 22\0"s);
    add(21, 20, "SUDO_UID=1000\0"s);
    add(22, 21, "HOME=/root\0"s);
    EXPECT_EQ(client_of(22), "2001:db8::7");
}

TEST_F(SshSession, IsNoneOnTheConsole) {
    add(20, 1, "XSSH_CONNECTION=192.0.2.7 1 192.0.2.1 22\0SSH_CLIENT=192.0.2.7\0"s);
    add(21, 20, "");
    EXPECT_EQ(client_of(21), std::nullopt);
    EXPECT_EQ(client_of(99), std::nullopt) << "it has ended";
}

TEST_F(SshSession, EndsWhereProcessesGoInACircle) {
    add(20, 21, "");
    add(21, 20, "");
    EXPECT_EQ(client_of(20), std::nullopt);
}

}  // namespace
}  // namespace vfb
