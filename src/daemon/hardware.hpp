// SPDX-License-Identifier: GPL-2.0-or-later
//
// Hardware: brings the machine to what the configuration says, and keeps the slots' states true:
// finds the configured PFs, has their VFs created, and has every VF scrubbed that comes back or
// appears. All device work is done by workers.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "broker/broker.hpp"
#include "worker.hpp"
#include "world.hpp"

namespace vfb::daemon {

// A PF of the configuration, as io.vfbroker PhysicalFunctionStatus.
struct PfStatus {
    enum class State { missing, applying, ready, failed, stuck };
    State state = State::missing;
    std::optional<pci::Address> address;
    std::optional<Error> problem;
};
std::string_view to_string(PfStatus::State state);

class Hardware {
public:
    Hardware(EventLoop& loop, const SysRoot& root, Workers& workers, World& world,
             broker::Broker& broker)
        : loop_(loop), root_(root), workers_(workers), world_(world), broker_(broker) {}

    // A slot became clean, or will not for the time being.
    void on_slot_change(std::function<void()> callback) { on_slot_change_ = std::move(callback); }
    // A function under a lease went away.
    void on_lost(std::function<void(broker::LeaseId)> callback) { on_lost_ = std::move(callback); }

    // Applies the configuration that the broker has now; also after a reload.
    void apply();
    // Puts back the drivers of functions that the configuration does not name any more.
    void put_back(const std::vector<broker::Slot>& dropped);
    // The world changed.
    void on_world_change(const pci::Address& address, const pci::Function* before,
                         const pci::Function* now);
    // From `preparing` to `clean`, or to why not.
    void scrub(const broker::SlotKey& key);

    [[nodiscard]] const std::map<std::string, PfStatus>& pfs() const { return pfs_; }
    [[nodiscard]] const vfio::Support& support() const { return support_; }
    // No PF is being prepared and no slot scrubbed.
    [[nodiscard]] bool settled() const;
    // The worker that does the device work for a slot's PF.
    Worker& worker_of(const std::string& pf);

private:
    // What is kept for a slot that somebody still holds: when they end, it is scrubbed.
    struct Holding {
        std::vector<UniqueFd> pidfds;
        std::vector<Source> sources;
        Source retry;
    };

    void match_pfs();
    void prepare(const broker::PfConfig& pf);
    void prepared(const std::string& name, const pci::Address& address, Result<WorkerReply> reply);
    Result<> record(const std::string& name, const pci::Address& address,
                    const proto::Json& parameters);
    void check_count(const std::string& name, PfStatus& status, std::size_t present);
    void sync(const std::string& name);
    void lose_slot(const broker::SlotKey& key, Error why);
    void scrubbed(const broker::SlotKey& key, const pci::Address& address,
                  Result<WorkerReply> reply);
    void refused(const broker::SlotKey& key, const pci::Address& address, Error error);
    void wait_for_holders(const broker::SlotKey& key, const pci::Address& address);
    void retry_group(const pci::Address& address, const pci::Function& function);

    EventLoop& loop_;
    const SysRoot& root_;
    Workers& workers_;
    World& world_;
    broker::Broker& broker_;
    std::map<std::string, PfStatus> pfs_;
    std::set<broker::SlotKey> scrubbing_;
    std::map<broker::SlotKey, Holding> holding_;
    vfio::Support support_;
    std::function<void()> on_slot_change_;
    std::function<void(broker::LeaseId)> on_lost_;
};

}  // namespace vfb::daemon
