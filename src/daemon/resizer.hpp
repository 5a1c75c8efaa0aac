// SPDX-License-Identifier: GPL-2.0-or-later
//
// Resizer: gives a PF another number of VFs. The kernel can only do that by way of none, so all of
// them go, and nothing is done while one of them is leased, in use or on its way.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "hardware.hpp"

namespace vfb::daemon {

class Resizer {
public:
    Resizer(const SysRoot& root, World& world, broker::Broker& broker, Hardware& hardware)
        : root_(root), world_(world), broker_(broker), hardware_(hardware) {}

    using Done = std::function<void(Result<>)>;
    // `done` exactly once: when the new VFs are there (they are scrubbed from then on), or when
    // nothing was done, or what was done has been undone. Code::busy names who is in the way.
    // Code::stuck: the kernel has not come back; the PF is stuck until it does.
    // `caller`: who asked for it; only needed with `despite`.
    void resize(const std::string& pf, unsigned vfs, const broker::Despite& despite,
                const broker::Caller& caller, Done done);
    // A PF that is stuck does not count: nobody knows when that ends.
    [[nodiscard]] bool idle() const { return running_.empty(); }
    // Something ended; for whoever waits until all is idle.
    void on_end(std::function<void()> callback) { on_end_ = std::move(callback); }

private:
    [[nodiscard]] Result<> check(const std::string& pf, unsigned vfs) const;
    [[nodiscard]] Result<> check_slots(const std::string& pf, const std::string& operation) const;
    Result<> begin(const std::string& pf, unsigned from, unsigned to);
    void finished(const std::string& pf, bool done);
    void got_stuck(const std::string& pf, const pci::Address& address, const Error& why);

    const SysRoot& root_;
    World& world_;
    broker::Broker& broker_;
    Hardware& hardware_;
    std::set<std::string> running_;
    std::function<void()> on_end_;
};

}  // namespace vfb::daemon
