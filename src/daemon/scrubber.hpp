// SPDX-License-Identifier: GPL-2.0-or-later
//
// Scrubber: takes slots from `preparing` to `clean`, or to why not. Scrubs run in the worker of the
// slot's PF; a slot whose last owner still holds it stays dirty, and is scrubbed when that process
// closes it or ends.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <vector>

#include "broker/broker.hpp"
#include "event_loop.hpp"
#include "worker.hpp"
#include "world.hpp"

namespace vfb::daemon {

class Hardware;

class Scrubber {
public:
    Scrubber(EventLoop& loop, const SysRoot& root, World& world, broker::Broker& broker,
             Hardware& hardware)
        : loop_(loop), root_(root), world_(world), broker_(broker), hardware_(hardware) {}

    // A slot became clean, or will not for the time being; `news`: false when it is as it was, and
    // was only looked at again.
    void on_change(std::function<void(bool news)> callback) { on_change_ = std::move(callback); }
    void announce(bool news = true) const {
        if (on_change_) on_change_(news);
    }

    // Does nothing to a slot that is leased, absent, or being scrubbed.
    void scrub(const broker::SlotKey& key) { scrub(key, {}, {}); }
    // The same, though the host uses it for the kinds of Use in `despite`. `done` when it is over,
    // whatever came of it; at once if nothing is done.
    void scrub(const broker::SlotKey& key, const std::set<std::string>& despite,
               std::function<void()> done);
    // The slot is gone: its holders are watched no more.
    void forget(const broker::SlotKey& key) { holding_.erase(key); }
    [[nodiscard]] bool idle() const { return running_.empty() && deciding_.empty(); }
    [[nodiscard]] bool is_scrubbing(const broker::SlotKey& key) const {
        return running_.contains(key);
    }

    // What this kernel's VFIO has: read at first without, later on a bound function.
    void read_support() { support_ = vfio::read_support(root_, std::nullopt); }
    [[nodiscard]] const vfio::Support& support() const { return support_; }

private:
    // What is kept for a slot that somebody still holds.
    struct Holding {
        std::vector<UniqueFd> pidfds;
        std::vector<Source> sources;
        Source retry;
        std::set<std::string> said;  // messages that were logged: each is, once
        // The slot is looked at again; what was said stays said.
        void stop_waiting() {
            retry.reset();
            sources.clear();
            pidfds.clear();
        }
    };

    void scrubbed(const broker::SlotKey& key, const pci::Address& address,
                  Result<WorkerReply> reply);
    void held(const broker::SlotKey& key, const pci::Address& address, const Error& error);
    // False: it is as it was before.
    bool refused(const broker::SlotKey& key, const pci::Address& address, Error error);
    // Somebody holds it.
    bool busy(const broker::SlotKey& key, const pci::Address& address, Error error);
    void find_holders(const broker::SlotKey& key, const pci::Address& address);
    void wait_for_holders(const broker::SlotKey& key, const proto::Json& holders);

    EventLoop& loop_;
    const SysRoot& root_;
    World& world_;
    broker::Broker& broker_;
    Hardware& hardware_;
    std::set<broker::SlotKey> running_;
    std::set<broker::SlotKey> deciding_;  // busy, and it is being read by whom
    std::map<broker::SlotKey, std::function<void()>> decided_;  // who waits for that
    std::map<broker::SlotKey, Holding> holding_;
    vfio::Support support_;
    std::function<void(bool)> on_change_;
};

}  // namespace vfb::daemon
