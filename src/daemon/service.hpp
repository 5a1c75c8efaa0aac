// SPDX-License-Identifier: GPL-2.0-or-later
//
// Service: the methods of io.vfbroker and org.varlink.service.
#pragma once

#include <functional>

#include "leasing.hpp"
#include "server.hpp"
#include "views.hpp"

namespace vfb::daemon {

class Service {
public:
    // Reads and applies the configuration again; the result when it was accepted or refused.
    using Reload = std::function<void(std::function<void(Result<>)>)>;

    Service(const SysRoot& root, World& world, broker::Broker& broker, Hardware& hardware,
            Workers& workers, Leasing& leasing, Reload reload)
        : root_(root),
          world_(world),
          broker_(broker),
          workers_(workers),
          leasing_(leasing),
          reload_(std::move(reload)),
          views_(world, broker, hardware) {}

    // Answers at once or later; `request.reply` is called once.
    void handle(const Request& request);

private:
    using Method = void (Service::*)(const Request&);
    static Method find(const std::string& name);
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
    void lease(const Request& request);
    void release(const Request& request);
    void reload(const Request& request);

    const SysRoot& root_;
    World& world_;
    broker::Broker& broker_;
    Workers& workers_;
    Leasing& leasing_;
    Reload reload_;
    Views views_;
};

}  // namespace vfb::daemon
