// SPDX-License-Identifier: GPL-2.0-or-later
//
// Service: the methods of io.vfbroker and org.varlink.service.
#pragma once

#include <functional>

#include "applier.hpp"
#include "config_state.hpp"
#include "denials.hpp"
#include "drainer.hpp"
#include "gate.hpp"
#include "lease_watchers.hpp"
#include "leasing.hpp"
#include "resizer.hpp"
#include "server.hpp"
#include "views.hpp"
#include "watchers.hpp"

namespace vfb::daemon {

class Service {
public:
    // What is left undone, if that could be told in time; or why the configuration was refused.
    using ReloadDone = std::function<void(Result<std::optional<broker::Plan>>)>;
    // Reads and applies the configuration again.
    using Reload = std::function<void(ReloadDone)>;

    struct Parts {
        const SysRoot& root;
        World& world;
        broker::Broker& broker;
        Hardware& hardware;
        Workers& workers;
        Leasing& leasing;
        Drainer& drainer;
        Resizer& resizer;
        Applier& applier;
        Watchers& watchers;
        LeaseWatchers& lease_watchers;
        Gate& gate;
        const ConfigState& config_state;
        Reload reload;
    };
    explicit Service(const Parts& parts)
        : root_(parts.root),
          world_(parts.world),
          broker_(parts.broker),
          hardware_(parts.hardware),
          workers_(parts.workers),
          leasing_(parts.leasing),
          drainer_(parts.drainer),
          resizer_(parts.resizer),
          applier_(parts.applier),
          watchers_(parts.watchers),
          lease_watchers_(parts.lease_watchers),
          gate_(parts.gate),
          reload_(parts.reload),
          views_(parts.world, parts.broker, parts.hardware, parts.config_state) {}

    // Answers at once or later; `request.reply` is called once.
    void handle(const Request& request);

private:
    using Method = void (Service::*)(const Request&);
    // Of what a method needs to know of the machine to be answered.
    enum class Needs {
        nothing,
        inventory,          // there is no answer without
        inventory_at_best,  // what is wrong with it is part of the answer
    };
    struct Entry {
        std::string_view name;
        Method method;
        Needs needs;
    };
    static const Entry* find(const std::string& name);
    // Reads all that decides about the function that the call names, by a worker; `made` makes the
    // reply of it. What cannot be answered is refused here.
    using MakeReply = std::function<Json(const Json& explained, const pci::Function& function)>;
    void read_function(const Request& request, const char* verb, const MakeReply& made);

    void get_info(const Request& request);
    void get_interface_description(const Request& request);
    void list(const Request& request);
    void show(const Request& request);
    void explain(const Request& request);
    void list_pools(const Request& request);
    void list_leases(const Request& request);
    void status(const Request& request);
    void diagnose(const Request& request);
    void diagnose(const Request& request, const doctor::DaemonFacts& facts);
    void lease(const Request& request);
    void release(const Request& request);
    void transfer(const Request& request);
    void keep(const Request& request);
    void reload(const Request& request);
    void plan(const Request& request);
    void apply(const Request& request);
    void drain(const Request& request);
    void resume(const Request& request);
    void resize(const Request& request);
    void take(const Request& request);
    void watch(const Request& request);
    void watch_leases(const Request& request);
    // Whether the caller is root or of the group of administrators; refuses the call if not.
    static bool administers(const Request& request, const std::string& operation,
                            const std::string& subject, const std::string& hint);
    // `name`, or the name of the configured PF at that address.
    [[nodiscard]] std::string pf_name(const std::string& name) const;

    const SysRoot& root_;
    World& world_;
    broker::Broker& broker_;
    Hardware& hardware_;
    Workers& workers_;
    Leasing& leasing_;
    Drainer& drainer_;
    Resizer& resizer_;
    Applier& applier_;
    Watchers& watchers_;
    LeaseWatchers& lease_watchers_;
    Gate& gate_;
    Reload reload_;
    Views views_;
    Denials denials_;
};

}  // namespace vfb::daemon
