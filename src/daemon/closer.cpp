// SPDX-License-Identifier: GPL-2.0-or-later
#include "closer.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <system_error>
#include <thread>

#include "log.hpp"

namespace vfb::daemon {

void Closer::close(std::vector<UniqueFd> descriptors, const std::function<void()>& done) {
    std::array<int, 2> ends{};
    if (descriptors.empty() || ::pipe2(ends.data(), O_CLOEXEC) != 0) {
        // Out of descriptors: the loop waits for the devices, and these are given back by it.
        descriptors.clear();
        if (done) done();
        return;
    }
    const auto entry =
        closing_.insert(closing_.end(), Closing{.end = UniqueFd(ends[0]), .source = {}});
    auto source = loop_.watch(entry->end.get(), EPOLLIN, [this, entry, done](std::uint32_t) {
        const Closing closed = std::move(*entry);
        closing_.erase(entry);
        if (done) done();
    });
    if (source) entry->source = std::move(*source);
    try {
        std::thread([descriptors = std::move(descriptors), told = UniqueFd(ends[1])]() mutable {
            descriptors.clear();
            told.reset();
        }).detach();
    } catch (const std::system_error& error) {
        // What was moved into the thread that did not start is closed by now.
        log(Level::warning, "no thread to close devices in: {}", error.what());
    }
}

}  // namespace vfb::daemon
