// SPDX-License-Identifier: GPL-2.0-or-later
#include "event_loop.hpp"

#include <csignal>
#include <utility>

namespace vfb::daemon {

struct Source::Holder : std::enable_shared_from_this<Source::Holder> {
    Holder() = default;
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;
    ~Holder() { disconnect(); }

    void disconnect() { source = sd_event_source_disable_unref(source); }

    sd_event_source* source = nullptr;
    EventLoop::IoCallback io;
    EventLoop::Callback callback;

    // The callback may drop the last Source: `keep` holds this object until it is back.
    static int on_io(sd_event_source*, int, std::uint32_t events, void* data) {
        const auto keep = static_cast<Holder*>(data)->shared_from_this();
        keep->io(events);
        return 0;
    }
    static int on_time(sd_event_source*, std::uint64_t, void* data) { return call(data); }
    static int on_defer(sd_event_source*, void* data) { return call(data); }
    static int on_signal(sd_event_source*, const signalfd_siginfo*, void* data) {
        return call(data);
    }

private:
    static int call(void* data) {
        const auto keep = static_cast<Holder*>(data)->shared_from_this();
        keep->callback();
        return 0;
    }
};

void Source::reset() {
    if (holder_) holder_->disconnect();
    holder_.reset();
}

Source& Source::operator=(Source&& other) noexcept {
    if (this != &other) {
        reset();
        holder_ = std::move(other.holder_);
    }
    return *this;
}

Source::~Source() {
    reset();
}

namespace {

std::unexpected<Error> refused(int rc, const std::string& what) {
    return fail_errno(-rc, "watch " + what + " in the event loop", what);
}

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
    sd_event* event = nullptr;
    if (const int rc = sd_event_new(&event); rc < 0) return refused(rc, "anything");
    // Only when the unit sets WatchdogSec: it costs a periodic wake-up.
    (void)sd_event_set_watchdog(event, 1);
    return std::unique_ptr<EventLoop>(new EventLoop(event));
}

EventLoop::~EventLoop() {
    sd_event_unref(event_);
}

Result<Source> EventLoop::watch(int fd, std::uint32_t events, IoCallback callback) {
    auto holder = std::make_shared<Source::Holder>();
    holder->io = std::move(callback);
    const int rc =
        sd_event_add_io(event_, &holder->source, fd, events, &Source::Holder::on_io, holder.get());
    if (rc < 0) return refused(rc, "a descriptor");
    return Source(std::move(holder));
}

void EventLoop::set_events(Source& source, std::uint32_t events) {
    if (source.holder_ && source.holder_->source != nullptr)
        (void)sd_event_source_set_io_events(source.holder_->source, events);
}

Result<Source> EventLoop::after(std::chrono::milliseconds delay, Callback callback) {
    auto holder = std::make_shared<Source::Holder>();
    holder->callback = std::move(callback);
    const auto usec = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(delay).count());
    const int rc = sd_event_add_time_relative(event_, &holder->source, CLOCK_MONOTONIC, usec, 0,
                                              &Source::Holder::on_time, holder.get());
    if (rc < 0) return refused(rc, "a timer");
    return Source(std::move(holder));
}

Result<Source> EventLoop::defer(Callback callback) {
    auto holder = std::make_shared<Source::Holder>();
    holder->callback = std::move(callback);
    const int rc =
        sd_event_add_defer(event_, &holder->source, &Source::Holder::on_defer, holder.get());
    if (rc < 0) return refused(rc, "a deferred call");
    return Source(std::move(holder));
}

Result<Source> EventLoop::on_signal(int signal, Callback callback) {
    auto holder = std::make_shared<Source::Holder>();
    holder->callback = std::move(callback);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    if (sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return refused(-errno, "a signal");
    const int rc = sd_event_add_signal(event_, &holder->source, signal, &Source::Holder::on_signal,
                                       holder.get());
    if (rc < 0) return refused(rc, "a signal");
    return Source(std::move(holder));
}

int EventLoop::run() {
    return sd_event_loop(event_);
}

void EventLoop::stop(int status) {
    (void)sd_event_exit(event_, status);
}

}  // namespace vfb::daemon
