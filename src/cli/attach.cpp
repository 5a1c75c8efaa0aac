// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker attach, vfbroker detach: functions for a guest that runs already.
//
// While the VMM takes them, the lease is this connection's, so that it ends if this program does.
// Once the guest has all of them, it becomes the VMM's, and ends with it.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/guardian.hpp"
#include "client/lease.hpp"
#include "client/lease_list.hpp"
#include "context.hpp"
#include "exit_codes.hpp"
#include "formats.hpp"
#include "held.hpp"
#include "lease_options.hpp"
#include "memory_lock.hpp"
#include "output/json.hpp"
#include "output/table.hpp"
#include "pool_facts.hpp"
#include "ranges.hpp"
#include "vmm/cloud_hypervisor.hpp"
#include "vmm/qemu.hpp"

namespace vfb::cli {
namespace {

constexpr std::int64_t kDetachSeconds = 30;

// Which VMM: one of the two is given.
struct Target {
    std::string qmp;
    std::string cloud_hypervisor;

    [[nodiscard]] Result<std::unique_ptr<vmm::Vmm>> connect() const {
        if (qmp.empty() && cloud_hypervisor.empty())
            return fail(Code::invalid, "talk to the VMM", {}, "its socket is not named",
                        "--qmp PATH or --cloud-hypervisor PATH");
        return qmp.empty() ? vmm::CloudHypervisor::connect(cloud_hypervisor)
                           : vmm::Qemu::connect(qmp);
    }
    // As it has to be typed again.
    [[nodiscard]] std::string option() const {
        return qmp.empty() ? shell_line({"--cloud-hypervisor", cloud_hypervisor})
                           : shell_line({"--qmp", qmp});
    }
};

struct AttachOptions {
    Target target;
    client::LeaseRequest request;
    std::vector<std::string> device_options;
};

struct DetachOptions {
    Target target;
    std::int64_t lease = 0;
    std::int64_t timeout = kDetachSeconds;
};

// Descriptors or lent nodes, and as much locked memory as the guest has.
Result<> complete(client::Client& client, vmm::Vmm& vmm, client::LeaseRequest& request) {
    VFB_TRY(const auto pool, pool_facts(client, request.pool));
    choose_hand_off(request, pool);
    if (request.memory_lock) return {};
    VFB_TRY(const auto pinned, vmm.pinned_memory(request.size()));
    // That of another user's is not ours to read, and the lease is refused.
    const auto limit = memory_lock_limit(vmm.process().pid).value_or(0);
    VFB_TRY(request.memory_lock, memory_lock_beyond(limit, request.pool, pinned,
                                                    pool.memory_lock_max, ::geteuid() == 0));
    return {};
}

// What an attach that was not finished leaves: all of it is taken away, or, when the guest has what
// it should or does not let go of it, the lease stays as long as the VMM. Says what became of it.
Result<std::string> settle(const Context& context, const Target& target,
                           const vmm::Plugged& plugged) {
    VFB_TRY(auto vmm, target.connect());
    VFB_TRY(const bool complete, vmm->has(plugged));
    if (!complete) {
        const auto undone = vmm->unplug(plugged, std::chrono::seconds(kDetachSeconds));
        if (undone) return fmt::format("lease {} is taken back", plugged.lease);
        fmt::print(stderr, "vfbroker: {}\n", undone.error().message());
    }
    VFB_TRY(auto client, context.connect());
    VFB_CHECK(client::transfer(client, plugged.lease));
    if (complete) return fmt::format("the guest has what lease {} holds", plugged.lease);
    return fmt::format("lease {} stays as long as the VMM, or until: vfbroker detach {} {}",
                       plugged.lease, plugged.lease, target.option());
}

void rescue(const Context& context, const Target& target, const vmm::Plugged& plugged) {
    const auto settled = settle(context, target, plugged);
    // The VMM may have ended as well: then nothing is left to settle.
    fmt::print(stderr, "vfbroker: attach was ended: {}\n",
               settled ? *settled : settled.error().message());
}

void close_descriptors(client::Lease& lease) {
    lease.context.reset();
    for (auto& function : lease.functions) function.descriptor.reset();
}

// After an error: the guest shall have nothing of it.
std::unexpected<Error> take_back(client::Client& client, vmm::Vmm& vmm, client::Lease& lease,
                                 const vmm::Plugged& plugged, const Target& target, Error error) {
    close_descriptors(lease);
    const auto undone = vmm.unplug(plugged, std::chrono::seconds(kDetachSeconds));
    const auto settled = undone ? client::release(client, lease.id, lease.generation())
                                : client::transfer(client, lease.id);
    if (!undone) fmt::print(stderr, "vfbroker: {}\n", undone.error().message());
    if (!undone && settled)
        error.hint =
            fmt::format("lease {} stays as long as the VMM, or until: vfbroker detach {} {}",
                        lease.id, lease.id, target.option());
    if (!settled) fmt::print(stderr, "vfbroker: {}\n", settled.error().message());
    return std::unexpected(std::move(error));
}

Result<int> report(const Context& context, const client::Lease& lease, const Target& target) {
    if (context.json) {
        proto::Json functions = proto::Json::array();
        for (std::size_t i = 0; i < lease.functions.size(); ++i)
            functions.push_back({{"address", lease.functions[i].address},
                                 {"generation", lease.functions[i].generation},
                                 {"device", vmm::device_id(lease.id, i)}});
        return print(proto::Json{{"lease",
                                  {{"id", lease.id},
                                   {"pool", lease.pool},
                                   {"backend", lease.backend},
                                   {"functions", functions}}}}
                         .dump(2) +
                     "\n");
    }
    Table table(columns_of("attach"));
    for (std::size_t i = 0; i < lease.functions.size(); ++i)
        table.row({{.text = lease.functions[i].address},
                   {.text = std::to_string(lease.functions[i].generation)},
                   {.text = vmm::device_id(lease.id, i)}});
    return print(fmt::format(
        "lease {} of pool {}, backend {}\n\n{}\ndetach: vfbroker detach {} {}\n", lease.id,
        lease.pool, lease.backend, table.str(standard_output(true)), lease.id, target.option()));
}

Result<int> attach(const Context& context, const AttachOptions& options) {
    for (const auto& option : options.device_options) VFB_CHECK(check_device_option(option));
    client::LeaseRequest request = options.request;
    VFB_CHECK(read_pool(request, options.request.pool));
    VFB_TRY(auto vmm, options.target.connect());
    VFB_TRY(auto client, context.connect());
    request.owner = "connection";
    request.process = vmm->process();
    VFB_CHECK(complete(client, *vmm, request));
    VFB_TRY(auto lease, client::lease(client, request));
    const vmm::Plugged plugged{.lease = lease.id, .count = lease.functions.size()};
    // It keeps the connection to the daemon open, and with it the lease, until all is settled.
    VFB_TRY(auto guardian, Guardian::start(
                               [&] {
                                   vmm.reset();
                                   close_descriptors(lease);
                               },
                               [&] { rescue(context, options.target, plugged); }));
    if (auto done = vmm->plug(lease, options.device_options); !done)
        return take_back(client, *vmm, lease, plugged, options.target, std::move(done).error());
    close_descriptors(lease);
    if (auto done = client::transfer(client, lease.id); !done)
        return take_back(client, *vmm, lease, plugged, options.target, std::move(done).error());
    guardian.dismiss();
    return report(context, lease, options.target);
}

Result<client::LeaseSummary> find_lease(client::Client& client, std::int64_t id) {
    VFB_TRY(auto leases, client::leases(client));
    const auto found = std::ranges::find(leases, id, &client::LeaseSummary::id);
    if (found != leases.end()) return std::move(*found);
    return fail(Code::not_found, fmt::format("detach lease {}", id), std::to_string(id),
                "you have no such lease", "vfbroker leases");
}

Result<int> detach(const Context& context, const DetachOptions& options) {
    VFB_TRY(auto client, context.connect());
    VFB_TRY(const auto lease, find_lease(client, options.lease));
    VFB_TRY(auto vmm, options.target.connect());
    const pid_t pid = vmm->process().pid;
    if (lease.owner != "process" || lease.pid != pid)
        return fail(Code::invalid, fmt::format("detach lease {}", options.lease),
                    std::to_string(options.lease),
                    fmt::format("it belongs to {} {}, and process {} answers there", lease.owner,
                                lease.pid, pid),
                    "vfbroker leases");
    const vmm::Plugged plugged{.lease = lease.id, .count = lease.functions.size()};
    VFB_CHECK(vmm->unplug(plugged, std::chrono::seconds(options.timeout)));
    VFB_TRY(const auto reply,
            client.call("Release",
                        {{"lease", lease.id}, {"generation", lease.functions.front().generation}}));
    tell_held(lease.id, reply.parameters);
    return context.json ? print(json_text(reply.parameters)) : kOk;
}

void add_target_options(CLI::App& app, Target& target) {
    auto* qmp = app.add_option("--qmp", target.qmp, "Socket of a monitor of QEMU (QMP)");
    qmp->type_name("PATH");
    app.add_option("--cloud-hypervisor", target.cloud_hypervisor,
                   "Socket of Cloud Hypervisor's API")
        ->type_name("PATH")
        ->excludes(qmp);
}

}  // namespace

void add_attach_commands(CLI::App& app, Context& context) {
    auto* attach_app =
        app.add_subcommand("attach", "Lease functions and plug them into a guest that runs");
    auto attached = std::make_shared<AttachOptions>();
    attach_app
        ->add_option("POOL", attached->request.pool,
                     "The pool, also with how many functions: POOL:N")
        ->required()
        ->type_name("");
    add_target_options(*attach_app, attached->target);
    add_count_option(*attach_app, attached->request);
    add_lease_options(*attach_app, attached->request);
    add_memory_lock_option(
        *attach_app, attached->request,
        "Memory-lock limit of the VMM: 8G, 512M (default: by the guest's memory)");
    add_device_option(*attach_app, attached->device_options);
    context.add_json_option(*attach_app);
    attach_app->callback([&context, attached] {
        context.action = [&context, attached] { return attach(context, *attached); };
    });

    auto* detach_app =
        app.add_subcommand("detach", "Unplug the functions of a lease from its guest, and end it");
    auto detached = std::make_shared<DetachOptions>();
    detach_app->add_option("LEASE", detached->lease, "Its number")
        ->required()
        ->type_name("")
        ->check(in_range(0, INT64_MAX));
    add_target_options(*detach_app, detached->target);
    detach_app
        ->add_option("--timeout", detached->timeout, "How long the guest may take (default 30)")
        ->type_name("SECS")
        ->check(in_range(1, 86400));
    context.add_json_option(*detach_app);
    detach_app->callback([&context, detached] {
        context.action = [&context, detached] { return detach(context, *detached); };
    });
}

}  // namespace vfb::cli
