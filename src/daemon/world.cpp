// SPDX-License-Identifier: GPL-2.0-or-later
#include "world.hpp"

#include <malloc.h>
#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "log.hpp"
#include "wire.hpp"

namespace vfb::daemon {
namespace {

using namespace std::chrono_literals;
constexpr auto kReadTimeout = 30s;
// What could not be read is tried again, ever more rarely.
constexpr std::chrono::milliseconds kFirstDelay = 1s;
constexpr std::chrono::milliseconds kMostDelay = 1min;

}  // namespace

Result<> World::start(const std::function<void(Result<>)>& on_ready) {
    if (live_) {
        VFB_TRY(monitor_, pci::UeventMonitor::open());
        VFB_TRY(source_,
                loop_.watch(monitor_->fd(), EPOLLIN, [this](std::uint32_t) { on_uevents(); }));
    }
    on_ready_ = on_ready;
    everything_ = [this](const Result<>& result) {
        if (result) return ready();
        on_ready_(result);
        everything_failed_ = true;
        read_again_later();
    };
    read_next();
    return {};
}

const pci::Function* World::find(const pci::Address& address) const {
    const auto it = functions_.find(address);
    return it == functions_.end() ? nullptr : &it->second;
}

void World::on_uevents() {
    for (;;) {
        auto event = monitor_->next();
        if (!event) {
            log_error(event.error(), Level::warning);
            break;
        }
        if (!*event) break;
        on_uevent(**event);
    }
    read_next();
}

void World::on_uevent(const pci::Uevent& event) {
    using Kind = pci::Uevent::Kind;
    if (event.kind == Kind::overrun) {
        log(Level::notice, "uevents were lost: reading all functions again");
        return everything_is_due();
    }
    if (!event.address) return;
    if (event.subsystem == "vfio-dev" && event.kind == Kind::remove && on_vfio_removal_)
        on_vfio_removal_(*event.address);
    if (event.subsystem != "pci" && event.subsystem != "net") return;
    dirty_.insert(*event.address);
    // The kernel says of VFs that they go, and not of their PF that it has fewer.
    const pci::Function* function = find(*event.address);
    if (event.kind == Kind::remove && function != nullptr && function->physfn)
        dirty_.insert(*function->physfn);
}

// The first time that everything was read, which may have taken several attempts.
void World::ready() {
    if (const auto first = std::exchange(on_ready_, {})) first({});
}

void World::everything_is_due() {
    if (everything_) return;
    everything_ = [this](const Result<>& result) {
        if (result) return ready();
        log_error(result.error());
        everything_failed_ = true;
        read_again_later();
    };
}

void World::read_next() {
    if (reading_) return;
    if (everything_) return read_everything();
    if (!dirty_.empty() || !waiting_.empty()) read_dirty();
}

void World::read_everything() {
    const std::uint64_t reading = ++last_reading_;
    reading_ = reading;
    const auto done = std::exchange(everything_, {});
    auto unseen = std::make_shared<Addresses>();
    for (const auto& [address, function] : functions_) unseen->insert(address);
    worker_.call(
        {.operation = "inventory",
         .parameters = proto::Json::object(),
         .timeout = kReadTimeout,
         .subject = "all functions",
         .done =
             [this, unseen, done](Result<WorkerReply> reply) {
                 reading_.reset();
                 if (reply) {
                     // Gone, or they could not be read just now: it says which.
                     dirty_.insert(unseen->begin(), unseen->end());
                     note_problems(reply->parameters);
                     // The answer passed through as JSON: give that memory back.
                     ::malloc_trim(0);
                     done({});
                 } else {
                     done(std::unexpected(std::move(reply).error()));
                 }
                 read_next();
             },
         .part = [this, reading, unseen](const proto::Json& json) { take(reading, json, *unseen); },
         .late =
             [this] {
                 everything_is_due();
                 read_next();
             }});
}

void World::refresh(const std::vector<pci::Address>& addresses, std::function<void()> done) {
    dirty_.insert(addresses.begin(), addresses.end());
    if (done) waiting_.push_back(std::move(done));
    read_next();
}

void World::read_dirty() {
    const std::uint64_t reading = ++last_reading_;
    reading_ = reading;
    proto::Json addresses = proto::Json::array();
    for (const auto& address : dirty_) addresses.push_back(address.str());
    auto left = std::make_shared<Addresses>(std::exchange(dirty_, {}));
    // Who asks while this reading is under way waits for the next one.
    auto waiting = std::make_shared<std::vector<std::function<void()>>>(std::move(waiting_));
    waiting_.clear();
    // They are read in order: where it is stuck, and what is read when it comes back.
    auto stuck = std::make_shared<Addresses>();
    worker_.call(
        {.operation = "read",
         .parameters = {{"addresses", std::move(addresses)}},
         .timeout = kReadTimeout,
         .subject = "changed functions",
         .done =
             [this, left, waiting, stuck](const Result<WorkerReply>& reply) {
                 reading_.reset();
                 if (reply) note_problems(reply->parameters);
                 if (!reply) log_error(reply.error());
                 if (!reply && reply.error().code == Code::stuck && !left->empty())
                     stuck->insert(left->extract(left->begin()));
                 read_again_later(*left);
                 for (const auto& done : *waiting) done();
                 read_next();
             },
         .part = [this, reading, left](const proto::Json& json) { take(reading, json, *left); },
         .late = [this, stuck] { refresh({stuck->begin(), stuck->end()}); }});
}

void World::read_again_later(const Addresses& addresses) {
    if (addresses.empty()) {
        if (!again_) delay_ = {};
        return;
    }
    unanswered_.insert(addresses.begin(), addresses.end());
    read_again_later();
}

void World::read_again_later() {
    if (again_) return;
    delay_ = std::clamp(delay_ * 2, kFirstDelay, kMostDelay);
    auto timer = loop_.after(delay_, [this] {
        again_.reset();
        dirty_.merge(std::exchange(unanswered_, {}));
        if (std::exchange(everything_failed_, false)) everything_is_due();
        read_next();
    });
    if (!timer) return log_error(timer.error());
    again_ = std::move(*timer);
}

// Late parts of a reading that was given up are of no use: what they tell of was read since.
void World::take(std::uint64_t reading, const proto::Json& json, Addresses& left) {
    if (reading_ != reading) return;
    const auto address_of = [&](const char* name) -> std::optional<pci::Address> {
        const auto address = pci::Address::parse(json.value(name, ""));
        return address ? std::optional(*address) : std::nullopt;
    };
    if (const auto gone = address_of("gone")) {
        left.erase(*gone);
        return erase(*gone);
    }
    if (const auto unread = address_of("unread")) {
        dirty_.insert(*unread);
        return;
    }
    auto function = function_from_json(json);
    if (!function) return;
    left.erase(function->address);
    store(std::move(*function));
}

void World::store(pci::Function function) {
    const pci::Address address = function.address;
    auto [it, added] = functions_.try_emplace(address, function);
    if (added) {
        ++version_;
        if (on_change_) on_change_(address, nullptr, &it->second);
        return;
    }
    if (it->second == function) return;
    const pci::Function before = std::exchange(it->second, std::move(function));
    ++version_;
    // A VF that is going loses its PF first, which then has one VF less and does not say so.
    if (before.physfn && it->second.physfn != before.physfn) dirty_.insert(*before.physfn);
    if (on_change_) on_change_(address, &before, &it->second);
}

void World::erase(const pci::Address& address) {
    auto node = functions_.extract(address);
    if (node.empty()) return;
    ++version_;
    if (on_change_) on_change_(address, &node.mapped(), nullptr);
}

void World::note_problems(const proto::Json& parameters) {
    const auto it = parameters.find("problems");
    if (it == parameters.end()) return;
    for (const auto& problem : *it) {
        const Error error = proto::error_from_json(problem);
        log_error(error, Level::notice);
        if (problems_.size() < 100) problems_.push_back(error.message());
    }
}

}  // namespace vfb::daemon
