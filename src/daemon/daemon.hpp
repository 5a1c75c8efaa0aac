// SPDX-License-Identifier: GPL-2.0-or-later
//
// Daemon: the parts of vfbrokerd put together, from start to end.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "applier.hpp"
#include "broker/broker.hpp"
#include "config_loader.hpp"
#include "config_state.hpp"
#include "drainer.hpp"
#include "drift.hpp"
#include "event_loop.hpp"
#include "fd_store.hpp"
#include "gate.hpp"
#include "give_back.hpp"
#include "hardware.hpp"
#include "lease_watchers.hpp"
#include "leasing.hpp"
#include "leftovers.hpp"
#include "resizer.hpp"
#include "server.hpp"
#include "service.hpp"
#include "surveyor.hpp"
#include "watchers.hpp"
#include "worker.hpp"
#include "world.hpp"

namespace vfb::daemon {

// What the daemon is there for: to serve, or to give all functions back to the host as they were
// found and end.
enum class Task { serve, give_back };

struct Options {
    Task task = Task::serve;
    bool despite_leases = false;  // Task::give_back: what is leased stays as it is
    std::string config = broker::kConfigDirectory;
    std::string state = "/run/vfbroker/state.db";
    std::string socket;
    std::string root = "/";  // of sysfs, devfs and procfs; another one is a recorded tree
};

class Daemon {
public:
    // Everything that can fail before the loop: state, configuration, socket.
    static Result<std::unique_ptr<Daemon>> create(const Options& options, const SysRoot& root);
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;
    ~Daemon();

    // Until a signal; the exit status.
    int run();

private:
    Daemon(const Options& options, const SysRoot& root, std::unique_ptr<EventLoop> loop,
           broker::Broker broker);
    Result<> start();
    void wire();
    void set_identity();
    void set_places();
    void on_inventory(const Result<>& result);
    broker::Config first_config();
    std::optional<broker::Config> last_good();
    void files_are_good(const broker::Config& config);
    void files_are_bad(const Error& error);
    void reload(const Service::ReloadDone& done);
    void reload(const broker::Config& config, const Service::ReloadDone& done);
    void put_in_force(broker::Config config);
    void adapt();
    void came_to_rest();
    void announce_ready();
    // Task::give_back, in give_back_all.cpp.
    Result<> check_leases();
    void check_given_back();
    void end_giving_back();

    Options options_;
    const SysRoot& root_;
    std::unique_ptr<EventLoop> loop_;
    FdStore fd_store_;
    Workers workers_;
    World world_;
    broker::Broker broker_;
    Hardware hardware_;
    GiveBack give_back_;
    Leasing leasing_;
    ConfigLoader loader_;
    Surveyor surveyor_;
    Resizer resizer_;
    Drainer drainer_;
    Gate gate_;
    Applier applier_;
    Leftovers leftovers_;
    Drift drift_;
    Server server_;
    Watchers watchers_;
    LeaseWatchers lease_watchers_;
    std::unique_ptr<Service> service_;
    std::vector<Source> signals_;
    Source ready_deadline_;
    ConfigState config_state_;
    std::uint64_t times_configured_ = 0;
    bool ready_ = false;
    bool inventory_read_ = false;
};

}  // namespace vfb::daemon
