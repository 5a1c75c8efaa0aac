// SPDX-License-Identifier: GPL-2.0-or-later
//
// EventLoop: sd-event with callbacks as std::function and handles that end with their owner.
// Everything in the daemon runs on this one thread.
#pragma once

#include <systemd/sd-event.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.hpp"

namespace vfb::daemon {

// A registered source; destroying it ends the callbacks, at once: after that its descriptor may be
// closed, even from its own callback and even when another process has a copy of it (epoll(7) would
// go on to report such a descriptor, for a source that is gone).
class Source {
public:
    Source() = default;
    Source(Source&&) noexcept = default;
    Source& operator=(Source&& other) noexcept;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    ~Source();
    explicit operator bool() const { return holder_ != nullptr; }
    void reset();

private:
    friend class EventLoop;
    struct Holder;
    explicit Source(std::shared_ptr<Holder> holder) : holder_(std::move(holder)) {}
    std::shared_ptr<Holder> holder_;
};

class EventLoop {
public:
    static Result<std::unique_ptr<EventLoop>> create();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;
    ~EventLoop();

    using Callback = std::function<void()>;
    using IoCallback = std::function<void(std::uint32_t events)>;

    // `events` as for epoll(7); the descriptor stays the caller's.
    Result<Source> watch(int fd, std::uint32_t events, IoCallback callback);
    // Changes what a watch() waits for.
    void set_events(Source& source, std::uint32_t events);
    // Once, after `delay`.
    Result<Source> after(std::chrono::milliseconds delay, Callback callback);
    // Once, from the loop, after what is ready now.
    Result<Source> defer(Callback callback);
    // Blocks the signal and delivers it here.
    Result<Source> on_signal(int signal, Callback callback);

    // Until stop(); the exit status.
    int run();
    void stop(int status);

private:
    explicit EventLoop(sd_event* event) : event_(event) {}
    sd_event* event_;
};

}  // namespace vfb::daemon
