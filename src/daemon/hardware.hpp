// SPDX-License-Identifier: GPL-2.0-or-later
//
// Hardware: brings the machine to what the configuration says, and keeps the slots' places true:
// finds the configured PFs, has their VFs created, and has every VF scrubbed (scrubber.hpp) that
// comes back or appears. All device work is done by workers.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "broker/broker.hpp"
#include "scrubber.hpp"
#include "wire.hpp"
#include "worker.hpp"
#include "world.hpp"

namespace vfb::daemon {

// A PF of the configuration, as io.vfbroker PhysicalFunctionStatus.
struct PfStatus {
    enum class State { missing, applying, ready, failed, stuck };
    State state = State::missing;
    std::optional<pci::Address> address;
    std::optional<Error> problem;
    unsigned right = 0;             // the number of VFs it had when that was the configured one
    PfSettings settings{};          // it was last asked to have
    broker::PfSelector selector{};  // it was last found by
    // Its selectors mean another function than the one that it is, or none: of that one, leases
    // live on, and nothing is leased any more.
    bool means_another = false;
    broker::PfLimits limits{};  // as far as they are known
    // More is asked of it than it can: nothing is changed of it before that is corrected, and what
    // it has goes on. `problem` says what.
    bool refused = false;
};
std::string_view to_string(PfStatus::State state);

class Hardware {
public:
    Hardware(EventLoop& loop, const SysRoot& root, Workers& workers, World& world,
             broker::Broker& broker)
        : workers_(workers),
          world_(world),
          broker_(broker),
          scrubber_(loop, root, world, broker, *this) {}

    // A slot became clean, or will not for the time being.
    void on_slot_change(std::function<void(bool news)> callback) {
        scrubber_.on_change(std::move(callback));
    }
    // A function under a lease went away.
    void on_lost(std::function<void(broker::LeaseId)> callback) { on_lost_ = std::move(callback); }

    // A PF has another number of VFs than it had and should have, and its pools say repair.
    void on_wrong_number(std::function<void(const std::string& pf, unsigned wanted)> callback) {
        on_wrong_number_ = std::move(callback);
    }
    // Another program did `what` to a slot's function: repaired or reported, as its pool says.
    void on_drift(const broker::SlotKey& key, const std::string& what);

    // What the PF of that name at that address can be asked for.
    void learn(const std::string& pf, const pci::Address& address, const broker::PfLimits& limits);
    // Applies the configuration that the broker has now; also after a reload.
    void apply();
    // Of PFs that no configuration tells of: their functions that are leased are found, and
    // scrubbed when that ends.
    void look_after_leased();
    // A clean VF that has no VFIO driver any more is clean no more.
    void check_driver(const pci::Address& address);
    // The world changed.
    void on_world_change(const pci::Address& address, const pci::Function* before,
                         const pci::Function* now);
    // All VFs of the PF are about to be replaced: its slots are without a function until let_go().
    void withdraw(const std::string& pf, const Error& why);
    // Slots were retired: what they stood for may be another slot's by now.
    void resync();
    // Whether a PF of the configuration, by whatever name, is at that address.
    [[nodiscard]] bool is_configured(const pci::Address& pf) const;
    // While it is held, nothing is begun with a PF: its VFs are on their way to be removed.
    void hold(const std::string& pf);
    void let_go(const std::string& pf);
    // Also while a worker is at it.
    [[nodiscard]] bool is_held(const std::string& pf) const;
    // The kernel does not come back from what is done with a PF that is held: `stuck` until
    // let_go(), and nobody waits for it.
    void mark_stuck(const std::string& pf, const pci::Address& address, Error why);

    [[nodiscard]] Scrubber& scrubber() { return scrubber_; }
    [[nodiscard]] const std::map<std::string, PfStatus>& pfs() const { return pfs_; }
    [[nodiscard]] const vfio::Support& support() const { return scrubber_.support(); }
    // No PF is being prepared and no slot scrubbed.
    [[nodiscard]] bool settled() const;
    // The worker that does the device work for a slot's PF.
    Worker& worker_of(const std::string& pf);
    // The function that the PF of that name is, by what was done to it, as long as it is there:
    // whatever the selectors mean by now.
    [[nodiscard]] Result<std::optional<pci::Address>> place_of(const std::string& pf) const;
    // A scrub has ended well.
    void on_clean(const broker::SlotKey& key);
    // Where that PF is now, if it is there.
    [[nodiscard]] std::optional<pci::Address> address_of(const std::string& pf) const;

private:
    void match_pfs();
    void match_pf(const broker::PfConfig& pf, const Result<pci::Address>& match);
    void refuse(const std::string& name, const pci::Address& place, Error why);
    void keep_leased(const std::string& name);
    void vanished(const std::string& name);
    void prepare(const broker::PfConfig& pf);
    PfSettings wanted_settings(const broker::PfConfig& pf, const pci::Address& address);
    // A PF that is ready, but for what the configuration says since.
    bool is_to_be_set(const std::string& name, const PfStatus& status);
    // prepare(), step by step; all of them have the same parameters for the worker.
    struct Request {
        std::string name;
        pci::Address address;
        proto::Json parameters;
    };
    using Answer = void (Hardware::*)(const Request&, Result<WorkerReply>);
    void call(const char* operation, const Request& request, Answer answer);
    void found(const Request& request, Result<WorkerReply> reply);
    void prepared(const Request& request, Result<WorkerReply> reply);
    void undone(const Request& request, Result<WorkerReply> now);
    void failed(const std::string& name, Error error);
    // Whether it is asked for what it cannot do, as far as that is known; says so in its status.
    bool refuse_impossible(const std::string& name, PfStatus& status);
    void leave_as_it_is(const std::string& name, bool had_vfs);
    // What was found of the PF at first, and that VFs are about to be created.
    Result<> record(const Request& request, const proto::Json& found);
    Result<> record_originals(const std::string& name, const proto::Json& vfs);
    void check_count(const std::string& name, PfStatus& status, std::size_t present);
    void sync(const std::string& name);
    [[nodiscard]] const pci::Function* find_vf(const broker::SlotKey& key) const;
    [[nodiscard]] bool is_lost(const broker::Slot& slot, const pci::Function* vf) const;
    void fail_without_vfs(const std::string& name);
    // Whether the PF has some VFs, but another number than it had and should have.
    [[nodiscard]] bool has_wrong_number(const std::string& name) const;
    bool repair_number(const std::string& name);
    [[nodiscard]] bool repairs(const std::string& pf) const;
    // Whether there has been too much of it, so that two programs do not fight for ever.
    bool repairs_again(const std::string& subject);
    void lose_slot(const broker::SlotKey& key, Error why);
    // A clean VF has no VFIO driver, as far as is known.
    [[nodiscard]] bool lost_driver(const pci::Address& address) const;
    void retry_group(const pci::Address& address, const pci::Function& function);

    Workers& workers_;
    World& world_;
    broker::Broker& broker_;
    std::map<std::string, PfStatus> pfs_;
    std::set<std::string> held_;
    Scrubber scrubber_;
    std::function<void(broker::LeaseId)> on_lost_;
    std::function<void(const std::string&, unsigned)> on_wrong_number_;
    std::map<std::string, std::vector<std::chrono::steady_clock::time_point>> repaired_;
};

}  // namespace vfb::daemon
