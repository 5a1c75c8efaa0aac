// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <csignal>

#include "base/pidfd.hpp"

namespace vfb {
namespace {

// A child that waits until it is told to end; reaped by the destructor.
class Child {
public:
    explicit Child(const char* name = nullptr) : pid_(::fork()) {
        if (pid_ != 0) return;
        if (name != nullptr) ::prctl(PR_SET_NAME, name);
        for (;;) ::pause();
    }
    ~Child() {
        end();
        ::waitpid(pid_, nullptr, 0);
    }
    void end() const { ::kill(pid_, SIGKILL); }
    [[nodiscard]] pid_t pid() const { return pid_; }

private:
    pid_t pid_;
};

const Dir& proc() {
    static const SysRoot root = SysRoot::host().value();
    return root.proc();
}

void wait_for_zombie(pid_t pid) {
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT);
}

TEST(Process, IsIdentifiedByItsStart) {
    const auto self = identify_process(proc(), ::getpid()).value();
    EXPECT_EQ(self.pid, ::getpid());
    EXPECT_GT(self.start_time, 0U);
    EXPECT_EQ(identify_process(proc(), ::getpid()).value(), self);
    EXPECT_EQ(identify_process(proc(), 0x7ffffff0).error().code, Code::not_found);
}

TEST(Process, IsIdentifiedByItsPidfd) {
    Child child;
    const auto id = identify_process(proc(), child.pid()).value();
    const auto pidfd = open_pidfd(proc(), id).value();
    EXPECT_EQ(identify_pidfd(pidfd.get()).value(), id);
    child.end();
    wait_for_zombie(child.pid());
    EXPECT_EQ(identify_pidfd(pidfd.get()).error().code, Code::not_found);
    EXPECT_EQ(identify_pidfd(proc().fd()).error().code, Code::invalid);
    EXPECT_EQ(identify_pidfd(-1).error().code, Code::invalid);
}

// The name stands in the middle of the line that is read, and anybody can choose it.
TEST(Process, MayBeNamedToMislead) {
    const Child plain;
    for (const char* name : {") R 1 2 3", "(((", "a b c d", ")", "x) Z 0"}) {
        const Child child(name);
        while (process_name(proc(), child.pid()) != name) ::usleep(1000);
        const auto id = identify_process(proc(), child.pid());
        ASSERT_TRUE(id) << name;
        EXPECT_GE(id->start_time, identify_process(proc(), plain.pid()).value().start_time);
    }
}

TEST(Process, CountsAsGoneWhenItIsAZombie) {
    const Child child;
    EXPECT_TRUE(identify_process(proc(), child.pid()));
    child.end();
    wait_for_zombie(child.pid());
    EXPECT_EQ(identify_process(proc(), child.pid()).error().code, Code::not_found);
    EXPECT_EQ(process_name(proc(), 0x7ffffff0), "?");
}

TEST(Pidfd, TellsTheEnd) {
    const Child child;
    const auto id = identify_process(proc(), child.pid()).value();
    const auto fd = open_pidfd(proc(), id);
    ASSERT_TRUE(fd) << fd.error().message();
    EXPECT_NE(::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC, 0);
    pollfd waiting{.fd = fd->get(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&waiting, 1, 0), 0);
    child.end();
    EXPECT_EQ(::poll(&waiting, 1, 10000), 1);
}

TEST(Pidfd, IsRefusedForAnotherProcessOfThatNumber) {
    const Child child;
    auto id = identify_process(proc(), child.pid()).value();
    --id.start_time;
    EXPECT_EQ(open_pidfd(proc(), id).error().code, Code::not_found);
    EXPECT_FALSE(open_pidfd(proc(), {.pid = 0x7ffffff0, .start_time = 1}));
}

}  // namespace
}  // namespace vfb
