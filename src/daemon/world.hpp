// SPDX-License-Identifier: GPL-2.0-or-later
//
// World: every PCI function of the machine, read once and kept true by uevents. The reading is done
// by the inventory worker, so that a device that does not answer stops nothing here. There is one
// reading at a time, as the worker's answers come in no order: an older one would undo a newer.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "event_loop.hpp"
#include "iommu/groups.hpp"
#include "pci/function.hpp"
#include "pci/uevents.hpp"
#include "worker.hpp"

namespace vfb::daemon {

class World {
public:
    // `live` false: no uevents (a recorded tree has none).
    World(EventLoop& loop, Workers& workers, bool live)
        : loop_(loop), worker_(workers.of("inventory")), live_(live) {}

    // Subscribes, then enumerates. `on_ready` when everything was read; before that, an Error when
    // it could not be and is tried again.
    Result<> start(const std::function<void(Result<>)>& on_ready);

    // `before` or `now` is null when the function appeared or vanished.
    using Change = std::function<void(const pci::Address&, const pci::Function* before,
                                      const pci::Function* now)>;
    void on_change(Change callback) { on_change_ = std::move(callback); }
    // A VFIO node of the function was taken away: the kernel is removing or unbinding it, and waits
    // for its holder.
    void on_vfio_removal(std::function<void(const pci::Address&)> callback) {
        on_vfio_removal_ = std::move(callback);
    }

    [[nodiscard]] const iommu::Functions& functions() const { return functions_; }
    [[nodiscard]] const pci::Function* find(const pci::Address& address) const;
    // Reads these again and tells the changes; `done` when that has happened.
    void refresh(const std::vector<pci::Address>& addresses, std::function<void()> done = {});
    // Counts changes, so that what is derived from the functions can be kept.
    [[nodiscard]] std::uint64_t version() const { return version_; }
    // Attributes that could not be read, in words.
    [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }

private:
    using Addresses = std::set<pci::Address>;

    void on_uevents();
    void on_uevent(const pci::Uevent& event);
    // What is due, if no reading is under way.
    void read_next();
    void read_everything();
    void read_dirty();
    void ready();
    void everything_is_due();
    void read_again_later(const Addresses& addresses);
    void read_again_later();
    // A part of the answer to a reading, which takes what it tells of out of `left`.
    void take(std::uint64_t reading, const proto::Json& json, Addresses& left);
    void store(pci::Function function);
    void erase(const pci::Address& address);
    void note_problems(const proto::Json& parameters);

    EventLoop& loop_;
    Worker& worker_;
    bool live_;
    std::optional<pci::UeventMonitor> monitor_;
    Source source_;
    iommu::Functions functions_;
    Addresses dirty_;
    std::vector<std::function<void()>> waiting_;  // for dirty_ to be read
    std::function<void(Result<>)> on_ready_;      // until it was told of success
    std::function<void(Result<>)> everything_;    // set: all functions are to be read
    std::optional<std::uint64_t> reading_;        // which one is under way
    std::uint64_t last_reading_ = 0;
    Addresses unanswered_;            // to be read when `again_` fires
    bool everything_failed_ = false;  // likewise
    Source again_;
    std::chrono::milliseconds delay_{0};
    std::uint64_t version_ = 1;
    std::vector<std::string> problems_;
    Change on_change_;
    std::function<void(const pci::Address&)> on_vfio_removal_;
};

}  // namespace vfb::daemon
