// SPDX-License-Identifier: GPL-2.0-or-later
#include "event_loop.hpp"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <optional>

#include "base/unique_fd.hpp"

namespace vfb::daemon {
namespace {

using namespace std::chrono_literals;

TEST(EventLoop, SourceEndsAtOnceEvenFromItsOwnCallback) {
    auto loop = std::move(*EventLoop::create());
    // What the daemon does when an owner ends: the callback of a pidfd drops the source and closes
    // the pidfd, of which systemd has a copy, so that epoll would still report it.
    std::optional<UniqueFd> watched(UniqueFd(::eventfd(1, EFD_CLOEXEC)));
    const UniqueFd copy(::dup(watched->get()));
    int calls = 0;
    Source source;
    source = std::move(*loop->watch(watched->get(), EPOLLIN, [&](std::uint32_t) {
        ++calls;
        source.reset();
        watched.reset();
    }));
    auto end = loop->after(50ms, [&] { loop->stop(7); });
    EXPECT_EQ(loop->run(), 7);
    EXPECT_EQ(calls, 1);
}

TEST(EventLoop, CallbackMayReplaceItsOwnSource) {
    auto loop = std::move(*EventLoop::create());
    int calls = 0;
    Source source;
    std::function<void()> again = [&] {
        if (++calls == 3) return loop->stop(0);
        source = std::move(*loop->defer([&] { again(); }));
    };
    source = std::move(*loop->after(1ms, [&] { again(); }));
    EXPECT_EQ(loop->run(), 0);
    EXPECT_EQ(calls, 3);
}

TEST(EventLoop, DestroyedSourceIsNeverCalled) {
    auto loop = std::move(*EventLoop::create());
    const UniqueFd fd(::eventfd(1, EFD_CLOEXEC));
    {
        auto source = loop->watch(fd.get(), EPOLLIN, [](std::uint32_t) { FAIL(); });
    }
    auto end = loop->after(20ms, [&] { loop->stop(0); });
    EXPECT_EQ(loop->run(), 0);
}

TEST(EventLoop, DeliversSignals) {
    auto loop = std::move(*EventLoop::create());
    bool delivered = false;
    auto source = loop->on_signal(SIGUSR1, [&] {
        delivered = true;
        loop->stop(0);
    });
    ::raise(SIGUSR1);
    EXPECT_EQ(loop->run(), 0);
    EXPECT_TRUE(delivered);
}

}  // namespace
}  // namespace vfb::daemon
