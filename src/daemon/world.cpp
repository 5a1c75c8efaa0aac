// SPDX-License-Identifier: GPL-2.0-or-later
#include "world.hpp"

#include <malloc.h>
#include <sys/epoll.h>

#include "log.hpp"
#include "wire.hpp"

namespace vfb::daemon {
namespace {

using namespace std::chrono_literals;
constexpr auto kReadTimeout = 30s;

}  // namespace

Result<> World::start(const std::function<void(Result<>)>& on_ready) {
    if (live_) {
        VFB_TRY(monitor_, pci::UeventMonitor::open());
        VFB_TRY(source_,
                loop_.watch(monitor_->fd(), EPOLLIN, [this](std::uint32_t) { on_uevents(); }));
    }
    read_all(on_ready);
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
    read_dirty();
}

void World::on_uevent(const pci::Uevent& event) {
    using Kind = pci::Uevent::Kind;
    if (event.kind == Kind::overrun) {
        log(Level::notice, "uevents were lost: reading all functions again");
        read_all([](const Result<>& result) {
            if (!result) log_error(result.error());
        });
        return;
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

void World::read_all(const std::function<void(Result<>)>& done) {
    // What the answer does not mention is gone by then.
    auto unseen = std::make_shared<std::set<pci::Address>>();
    for (const auto& [address, function] : functions_) unseen->insert(address);
    worker_.call({.operation = "inventory",
                  .parameters = proto::Json::object(),
                  .timeout = kReadTimeout,
                  .subject = "all functions",
                  .done =
                      [this, unseen, done](Result<WorkerReply> reply) {
                          if (!reply) return done(std::unexpected(std::move(reply).error()));
                          for (const auto& address : *unseen) erase(address);
                          note_problems(reply->parameters);
                          // The answer passed through as JSON: give that memory back.
                          ::malloc_trim(0);
                          done({});
                      },
                  .part =
                      [this, unseen](const proto::Json& json) {
                          if (auto function = function_from_json(json)) {
                              unseen->erase(function->address);
                              store(std::move(*function));
                          }
                      },
                  .late = {}});
}

void World::refresh(const std::vector<pci::Address>& addresses, std::function<void()> done) {
    dirty_.insert(addresses.begin(), addresses.end());
    if (done) waiting_.push_back(std::move(done));
    read_dirty();
}

void World::read_dirty() {
    if (reading_ || (dirty_.empty() && waiting_.empty())) return;
    reading_ = true;
    proto::Json addresses = proto::Json::array();
    for (const auto& address : dirty_) addresses.push_back(address.str());
    dirty_.clear();
    // Who asks while this reading is under way waits for the next one.
    auto waiting = std::make_shared<std::vector<std::function<void()>>>(std::move(waiting_));
    waiting_.clear();
    worker_.call({.operation = "read",
                  .parameters = {{"addresses", std::move(addresses)}},
                  .timeout = kReadTimeout,
                  .subject = "changed functions",
                  .done =
                      [this, waiting](Result<WorkerReply> reply) {
                          reading_ = false;
                          if (!reply) {
                              log_error(reply.error());
                          } else {
                              for (const auto& gone : reply->parameters["gone"])
                                  if (const auto address =
                                          pci::Address::parse(gone.get<std::string>()))
                                      erase(*address);
                              note_problems(reply->parameters);
                          }
                          for (const auto& done : *waiting) done();
                          read_dirty();
                      },
                  .part = [this](const proto::Json& json) { take(json); },
                  .late = {}});
}

void World::take(const proto::Json& json) {
    auto function = function_from_json(json);
    if (function) store(std::move(*function));
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
