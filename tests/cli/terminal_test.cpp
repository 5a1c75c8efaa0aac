// SPDX-License-Identifier: GPL-2.0-or-later
//
// Colour: on a terminal, unless NO_COLOR says otherwise.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "program.hpp"

namespace vfb::test {
namespace {

// What `vfbroker list` writes to a terminal.
std::string on_terminal(const std::string& socket, const char* no_colour) {
    const UniqueFd terminal(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    EXPECT_EQ(::grantpt(terminal.get()), 0);
    EXPECT_EQ(::unlockpt(terminal.get()), 0);
    const UniqueFd inside(::open(::ptsname(terminal.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(inside.get(), STDOUT_FILENO);
        ::setenv("NO_COLOR", no_colour, 1);
        ::execl(VFB_PROGRAM, "vfbroker", "--socket", socket.c_str(), "list", nullptr);
        ::_exit(99);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    std::array<char, 4096> text{};
    const ssize_t count = ::read(terminal.get(), text.data(), text.size());
    return {text.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
}

TEST(Terminal, Colour) {
    FakeBroker broker(
        [](const proto::Call&) { return Answer{.body = recorded("list"), .descriptors = {}}; });
    EXPECT_THAT(on_terminal(broker.path(), ""), ::testing::HasSubstr("\x1b[32mclean\x1b[0m"));
    EXPECT_THAT(on_terminal(broker.path(), "1"), ::testing::Not(::testing::HasSubstr("\x1b")));
}

}  // namespace
}  // namespace vfb::test
