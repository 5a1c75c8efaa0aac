// SPDX-License-Identifier: GPL-2.0-or-later
#include "config_loader.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "base/unique_fd.hpp"

namespace vfb::daemon {

struct ConfigLoader::Reading {
    UniqueFd finished{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    Result<broker::Config> config;
    std::vector<Done> done;
    Source source;
    std::jthread thread;  // last: joined before the rest goes
};

ConfigLoader::ConfigLoader(EventLoop& loop, std::string directory)
    : loop_(loop), directory_(std::move(directory)) {}

ConfigLoader::~ConfigLoader() = default;

void ConfigLoader::load(broker::FileTexts instead, Done done) {
    waiting_.push_back({.instead = std::move(instead), .done = std::move(done)});
    if (!reading_) start();
}

void ConfigLoader::start() {
    reading_ = std::make_unique<Reading>();
    // All that want the same as the first.
    const broker::FileTexts instead = waiting_.front().instead;
    const auto others = std::ranges::stable_partition(
        waiting_, [&](const Wanted& wanted) { return wanted.instead == instead; });
    for (auto same = waiting_.begin(); same != others.begin(); ++same)
        reading_->done.push_back(std::move(same->done));
    waiting_.erase(waiting_.begin(), others.begin());
    auto source = loop_.watch(reading_->finished.get(), EPOLLIN, [this](auto) { finish(); });
    if (!source) {
        const auto reading = std::move(reading_);
        for (const auto& done : reading->done) done(std::unexpected(source.error()));
        return;
    }
    reading_->source = std::move(*source);
    reading_->thread = std::jthread([r = reading_.get(), directory = directory_, instead] {
        r->config = broker::load_config(directory, instead);
        (void)::eventfd_write(r->finished.get(), 1);
    });
}

void ConfigLoader::finish() {
    const auto reading = std::move(reading_);
    reading->thread.join();
    if (!waiting_.empty()) start();
    for (const auto& done : reading->done) done(reading->config);
}

}  // namespace vfb::daemon
