// SPDX-License-Identifier: GPL-2.0-or-later
#include "scrubber.hpp"

#include <sys/epoll.h>

#include "hardware.hpp"
#include "log.hpp"
#include "wire.hpp"

namespace vfb::daemon {
namespace {

using namespace std::chrono_literals;
using broker::Slot;
using broker::SlotKey;
using broker::SlotState;

constexpr auto kScrubTimeout = 60s;

}  // namespace

void Scrubber::scrub(const SlotKey& key, const std::set<std::string>& despite,
                     std::function<void()> done) {
    const Slot* slot = broker_.find(key);
    const auto pf = hardware_.address_of(key.pf);
    if (slot == nullptr || slot->lease || !slot->address || running_.contains(key) || !pf) {
        if (done) done();
        return;
    }
    // While its last owner has it, it stays dirty: that somebody looks again is no change.
    if (const auto holding = holding_.find(key);
        holding != holding_.end() && slot->state == SlotState::dirty) {
        holding->second.stop_waiting();
    } else {
        holding_.erase(key);
        broker_.mark_preparing(key);
    }
    running_.insert(key);
    broker::ScrubRequest request;
    request.pf = *pf;
    request.vf = *slot->address;
    request.index = key.index;
    request.despite = despite;
    request.reclaim = slot->lent_netdev;
    request.attributes = broker_.default_attributes(key);
    if (const auto* pool = broker_.config().pool_of(key.pf, key.index)) {
        request.driver = pool->driver.value_or("auto");
        request.msix_vectors = pool->msix_vectors;
        request.reset_required = pool->reset == broker::ResetPolicy::required;
        if (pool->backend != broker::BackendChoice::automatic)
            request.backend = pool->backend == broker::BackendChoice::iommufd
                                  ? vfio::Backend::iommufd
                                  : vfio::Backend::group;
    }
    hardware_.worker_of(key.pf).call(
        {.operation = "scrub",
         .parameters = to_json(request),
         .timeout = kScrubTimeout,
         .subject = request.vf.str(),
         .done =
             [this, key, address = request.vf, done = std::move(done)](Result<WorkerReply> reply) {
                 scrubbed(key, address, std::move(reply));
                 if (!done) return;
                 // Why it is busy is still being read.
                 if (deciding_.contains(key))
                     decided_[key] = done;
                 else
                     done();
             },
         .part = {},
         .late = [this, key] { scrub(key); }});
}

void Scrubber::scrubbed(const SlotKey& key, const pci::Address& address,
                        Result<WorkerReply> reply) {
    running_.erase(key);
    const Slot* slot = broker_.find(key);
    if (slot == nullptr || slot->lease) return;
    if (slot->address != address) {
        scrub(key);  // it came back elsewhere meanwhile
        return;
    }
    if (!reply) {
        return announce(refused(key, address, std::move(reply).error()));
    }
    support_ = support_from_json(reply->parameters.at("support"));
    if (auto attributes = attributes_from_json(reply->parameters.at("attributes"))) {
        auto marked = broker_.mark_clean(
            key, *attributes, reply->parameters.at("unsupported").get<std::vector<std::string>>());
        if (!marked) return announce(refused(key, address, std::move(marked).error()));
        holding_.erase(key);
        log(Level::info, "{} is clean ({})", address,
            slot->pool.empty() ? "in no pool any more" : "pool " + slot->pool);
        hardware_.on_clean(key);
        // What is known of its driver may be older than this scrub: a driver that another program
        // takes away right now would be no news.
        world_.refresh({address}, [this, address] { hardware_.check_driver(address); });
    } else {
        broker_.quarantine(key, std::move(attributes).error());
    }
    announce();
}

bool Scrubber::refused(const SlotKey& key, const pci::Address& address, Error error) {
    if (error.code == Code::busy) return busy(key, address, std::move(error));
    holding_.erase(key);
    if (error.code == Code::stuck) {
        log_error(error);
        broker_.mark_stuck(key, std::move(error));
        return true;
    }
    if (error.code == Code::lost || error.code == Code::not_found)
        world_.refresh({address});  // most likely it is gone
    log_error(error, Level::warning);
    broker_.quarantine(key, std::move(error));
    return true;
}

// Held by a process, or used by the host: its driver tells, and what is known of that may be older
// than this scrub.
bool Scrubber::busy(const SlotKey& key, const pci::Address& address, Error error) {
    const Slot* slot = broker_.find(key);
    const bool news = slot->state != SlotState::dirty || !slot->problem ||
                      slot->problem->message() != error.message();
    if (news) broker_.mark_dirty(key, error);
    deciding_.insert(key);
    world_.refresh({address}, [this, key, address, news, error = std::move(error)] {
        deciding_.erase(key);
        held(key, address, error);
        if (const auto waiting = decided_.extract(key)) waiting.mapped()();
        announce(news);
    });
    return news;
}

void Scrubber::held(const SlotKey& key, const pci::Address& address, const Error& error) {
    const Slot* slot = broker_.find(key);
    if (slot == nullptr || slot->state != SlotState::dirty || slot->address != address) return;
    const pci::Function* function = world_.find(address);
    const bool with_vfio = function != nullptr && pci::is_vfio_driver(function->driver);
    if (with_vfio) {
        if (holding_[key].said.insert(error.message()).second) log_error(error, Level::notice);
        return find_holders(key, address);
    }
    holding_.erase(key);
    log_error(error, Level::warning);
    broker_.quarantine(key, error);
}

void Scrubber::find_holders(const SlotKey& key, const pci::Address& address) {
    hardware_.worker_of(key.pf).call(
        {.operation = "holders",
         .parameters = {{"addresses", proto::Json::array({address.str()})}},
         .timeout = kScrubTimeout,
         .subject = address.str(),
         .done =
             [this, key](Result<WorkerReply> reply) {
                 wait_for_holders(
                     key, reply ? reply->parameters.at("holders").at(0) : proto::Json::array());
             },
         .part = {},
         .late = {}});
}

void Scrubber::wait_for_holders(const SlotKey& key, const proto::Json& holders) {
    const Slot* slot = broker_.find(key);
    if (slot == nullptr || slot->state != SlotState::dirty) return;
    Holding& holding = holding_[key];
    for (const auto& holder : holders) {
        const auto process = identify_process(root_.proc(), holder.at("pid").get<pid_t>());
        if (!process) continue;
        auto pidfd = open_pidfd(root_.proc(), *process);
        if (!pidfd) continue;
        auto source = loop_.watch(pidfd->get(), EPOLLIN, [this, key](auto) { scrub(key); });
        if (!source) continue;
        holding.pidfds.push_back(std::move(*pidfd));
        holding.sources.push_back(std::move(*source));
    }
    // A holder may also close it without ending, and the kernel announces that to nobody.
    if (auto timer = loop_.after(1s, [this, key] { scrub(key); }))
        holding.retry = std::move(*timer);
}

}  // namespace vfb::daemon
