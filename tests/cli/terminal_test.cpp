// SPDX-License-Identifier: GPL-2.0-or-later
//
// Colour: on a terminal, unless NO_COLOR says otherwise.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <vector>

#include "program.hpp"

namespace vfb::test {
namespace {

// What `vfbroker` writes to a terminal that is `width` characters wide.
std::string on_terminal(const std::string& socket, const char* no_colour,
                        std::vector<std::string> words, unsigned short width = 500) {
    const UniqueFd terminal(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    EXPECT_EQ(::grantpt(terminal.get()), 0);
    EXPECT_EQ(::unlockpt(terminal.get()), 0);
    const UniqueFd inside(::open(::ptsname(terminal.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    const winsize size{.ws_row = 25, .ws_col = width, .ws_xpixel = 0, .ws_ypixel = 0};
    EXPECT_EQ(::ioctl(inside.get(), TIOCSWINSZ, &size), 0);
    words.insert(words.begin(), {"vfbroker", "--socket", socket});
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(inside.get(), STDOUT_FILENO);
        ::setenv("NO_COLOR", no_colour, 1);
        ::execv(VFB_PROGRAM, argv.data());
        ::_exit(99);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    std::array<char, 4096> text{};
    const ssize_t count = ::read(terminal.get(), text.data(), text.size());
    return {text.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
}

// The longest line, in characters.
std::size_t width_of(const std::string& text) {
    std::size_t longest = 0;
    std::size_t now = 0;
    for (const char byte : text) {
        if (byte == '\r' || byte == '\n')
            now = 0;
        else if ((byte & 0xC0) != 0x80)
            longest = std::max(longest, ++now);
    }
    return longest;
}

TEST(Terminal, Colour) {
    FakeBroker broker(
        [](const proto::Call&) { return Answer{.body = recorded("list"), .descriptors = {}}; });
    EXPECT_THAT(on_terminal(broker.path(), "", {"list"}),
                ::testing::HasSubstr("\x1b[32mclean\x1b[0m"));
    EXPECT_THAT(on_terminal(broker.path(), "1", {"list"}),
                ::testing::Not(::testing::HasSubstr("\x1b")));
}

TEST(Terminal, TablesFitUnlessTheyAreToBeWide) {
    FakeBroker broker([](const proto::Call& call) {
        const auto method = call.method.substr(call.method.rfind('.') + 1);
        return Answer{.body = recorded(method == "List"        ? "list"
                                       : method == "ListPools" ? "pools"
                                                               : "leases"),
                      .descriptors = {}};
    });
    for (const char* command : {"list", "pool", "leases"}) {
        EXPECT_LE(width_of(on_terminal(broker.path(), "1", {command}, 80)), 80u) << command;
        EXPECT_GT(width_of(on_terminal(broker.path(), "1", {command, "--wide"}, 80)), 80u)
            << command;
    }
    EXPECT_THAT(on_terminal(broker.path(), "1", {"list"}, 80),
                ::testing::HasSubstr("Intel Corpo\u2026"));
}

}  // namespace
}  // namespace vfb::test
