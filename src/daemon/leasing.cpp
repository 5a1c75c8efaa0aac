// SPDX-License-Identifier: GPL-2.0-or-later
#include "leasing.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <map>

#include "events.hpp"
#include "wire.hpp"

namespace vfb::daemon {
namespace {

using namespace std::chrono_literals;
using broker::Lease;
using broker::LeaseId;
using broker::LentNode;
using broker::OwnerKind;

constexpr auto kAttributeTimeout = 20s;
constexpr auto kOpenTimeout = 30s;
constexpr auto kNetdevTimeout = 30s;

void log_granted(const Lease& lease, const broker::Caller& caller) {
    auto facts = facts_of(lease);
    facts.caller = caller;
    log_event(Event::granted, facts,
              fmt::format("lease {}: {} of pool {} to {}, asked for by {}", lease.id,
                          fmt::join(facts.functions, ", "), lease.pool, describe_owner(lease),
                          describe(caller)));
}

}  // namespace

void Leasing::lease(std::uint64_t session, int connection_fd, const broker::LeaseRequest& request,
                    const broker::Caller& caller, std::chrono::seconds wait, Reply reply) {
    Waiting waiting{.session = session,
                    .connection_fd = connection_fd,
                    .request = request,
                    .caller = caller,
                    .reply = std::move(reply),
                    .deadline = {}};
    auto granted = try_grant(waiting);
    if (granted) return;
    const bool may_wait = granted.error().code == Code::busy && wait > 0s;
    if (!may_wait) {
        waiting.reply(std::unexpected(std::move(granted).error()));
        return;
    }
    const auto it = waiting_.insert(waiting_.end(), std::move(waiting));
    const auto expire = [this, it, wait] {
        // What is missing now is said, not what was missing at first.
        auto again = try_grant(*it);
        if (!again) {
            Error error =
                fail(Code::timeout, "lease from pool " + it->request.pool, it->request.pool,
                     fmt::format("nothing was free within {} s", wait / 1s))
                    .error()
                    .because(std::move(again).error());
            it->reply(std::unexpected(std::move(error)));
        }
        waiting_.erase(it);
    };
    if (auto timer = loop_.after(wait, expire)) it->deadline = std::move(*timer);
}

void Leasing::serve_waiting() {
    // First come, first served, but a request that cannot be met yet holds up no smaller one.
    for (auto it = waiting_.begin(); it != waiting_.end();) {
        auto granted = try_grant(*it);
        if (granted) {
            it = waiting_.erase(it);
        } else if (granted.error().code != Code::busy) {
            it->reply(std::unexpected(std::move(granted).error()));
            it = waiting_.erase(it);
        } else {
            ++it;
        }
    }
}

void Leasing::refuse_waiting() {
    const auto restarting = [](const std::string& pool) {
        return fail(Code::lost, "lease from pool " + pool, pool, "vfbrokerd is being restarted",
                    "ask again");
    };
    for (const auto& waiting : waiting_) waiting.reply(restarting(waiting.request.pool));
    waiting_.clear();
    end_releasing();
    // Their functions are scrubbed by the next daemon, which answers for those that it finds.
    for (const auto& g : granting_)
        if (broker_.end(g->id) && !g->cancelled) g->reply(restarting(g->choice.request.pool));
    granting_.clear();
}

Result<> Leasing::try_grant(Waiting& waiting) {
    VFB_TRY(auto choice, broker_.choose(waiting.request, waiting.caller, hardware_.support()));
    const auto connection = connections_.find(waiting.session);
    if (connection != connections_.end()) choice.request.connection = connection->second;
    VFB_TRY(const LeaseId id, broker_.begin(choice, waiting.caller, ::time(nullptr)));
    auto granting = std::make_shared<Granting>();
    granting->session = waiting.session;
    granting->connection_fd = waiting.connection_fd;
    granting->choice = std::move(choice);
    granting->caller = waiting.caller;
    granting->reply = std::move(waiting.reply);
    granting->id = id;
    granting_.push_back(granting);
    write_attributes(granting);
    return {};
}

void Leasing::write_attributes(const GrantingPtr& g) {
    const Lease& lease = *broker_.find_lease(g->id);
    for (const auto& function : lease.functions) g->attributes.push_back(function.attributes);
    // One more than there are writes, so that an answer that comes at once does not finish it
    // early.
    g->outstanding = 1;
    // By PF, in the order of its functions: all of one are written at once.
    std::map<std::string, std::vector<std::size_t>> by_pf;
    for (std::size_t i = 0; i < lease.functions.size(); ++i)
        if (!g->choice.to_write[i].empty()) by_pf[lease.functions[i].slot.pf].push_back(i);
    for (const auto& [pf, positions] : by_pf) {
        const auto address = hardware_.address_of(pf);
        if (!address) continue;
        ++g->outstanding;
        write_attributes(g, pf, *address, positions);
    }
    attributes_written(g);
}

void Leasing::write_attributes(const GrantingPtr& g, const std::string& pf,
                               const pci::Address& address,
                               const std::vector<std::size_t>& positions) {
    const Lease& lease = *broker_.find_lease(g->id);
    proto::Json vfs = proto::Json::array();
    for (const auto i : positions)
        vfs.push_back({{"index", lease.functions[i].slot.index},
                       {"attributes", to_json(g->choice.to_write[i])}});
    hardware_.worker_of(pf).call(
        {.operation = "set-attributes",
         .parameters = {{"pf", address.str()}, {"vfs", std::move(vfs)}},
         .timeout = kAttributeTimeout,
         .subject = lease.functions[positions.front()].address.str(),
         .done =
             [this, g, positions](Result<WorkerReply> reply) {
                 for (std::size_t i = 0; reply && i < positions.size(); ++i) {
                     auto actual = attributes_from_json(reply->parameters.at("attributes").at(i));
                     if (actual)
                         g->attributes[positions[i]] = *actual;
                     else
                         g->error = std::move(actual).error();
                 }
                 if (!reply) g->error = std::move(reply).error();
                 attributes_written(g);
             },
         .part = {},
         .late = {}});
}

void Leasing::attributes_written(const GrantingPtr& g) {
    if (--g->outstanding > 0) return;
    if (g->error)
        abort(g, std::move(*g->error));
    else
        open_descriptors(g);
}

void Leasing::open_descriptors(const GrantingPtr& g) {
    const Lease* lease = broker_.find_lease(g->id);
    if (lease == nullptr || g->cancelled) return abort(g, {});
    // At its address may be another one by now.
    if (const auto lost = std::ranges::find(lease->functions, true, &broker::LeasedFunction::lost);
        lost != lease->functions.end())
        return abort(g,
                     fail(Code::lost, fmt::format("lease {}", lost->address), lost->address.str(),
                          "it went away while it was being prepared", "lease again")
                         .error());
    g->granted.id = g->id;
    g->granted.devices.resize(lease->functions.size());
    g->granted.nodes.resize(lease->functions.size());
    if (lease->hand_off == broker::HandOff::none) return hand_over(g, std::vector<LentNode>{});
    if (lease->hand_off == broker::HandOff::netdev) return lend_netdevs(g);
    if (lease->hand_off == broker::HandOff::node) {
        auto nodes = lend_nodes(*g);
        hand_over(g, std::move(nodes));
        return;
    }
    if (lease->backend == vfio::Backend::group) return open_groups(g);
    if (auto opened = open_iommufd(*g); !opened) return abort(g, std::move(opened).error());
    hand_over(g, std::vector<LentNode>{});
}

Result<> Leasing::open_iommufd(Granting& g) {
    const Lease& lease = *broker_.find_lease(g.id);
    VFB_TRY(auto context, vfio::open_iommufd(root_, true));
    g.granted.context = g.granted.descriptors.size();
    g.granted.descriptors.push_back(std::move(context));
    for (std::size_t i = 0; i < lease.functions.size(); ++i) {
        VFB_TRY(auto cdev, vfio::open_cdev(root_, lease.functions[i].address));
        g.granted.devices[i] = g.granted.descriptors.size();
        g.granted.descriptors.push_back(std::move(cdev));
    }
    return {};
}

// The devices are opened by the worker of the first: opening resets them.
void Leasing::open_groups(const GrantingPtr& g) {
    const Lease& lease = *broker_.find_lease(g->id);
    proto::Json addresses = proto::Json::array();
    for (const auto& function : lease.functions) addresses.push_back(function.address.str());
    hardware_.worker_of(lease.functions.front().slot.pf)
        .call({.operation = "open-groups",
               .parameters = {{"addresses", std::move(addresses)}},
               .timeout = kOpenTimeout,
               .subject = lease.functions.front().address.str(),
               .done =
                   [this, g](Result<WorkerReply> reply) {
                       if (!reply) return abort(g, std::move(reply).error());
                       Granted& granted = g->granted;
                       granted.descriptors = std::move(reply->descriptors);
                       granted.context = 0;
                       const auto groups = reply->parameters.at("groups").get<std::size_t>();
                       for (std::size_t i = 0; i < groups; ++i) granted.groups.push_back(1 + i);
                       for (std::size_t i = 0; i < granted.devices.size(); ++i)
                           granted.devices[i] = 1 + groups + i;
                       hand_over(g, std::vector<LentNode>{});
                   },
               .part = {},
               .late = {}});
}

void Leasing::lend_netdevs(const GrantingPtr& g) {
    // A copy: an answer that comes at once may end the lease.
    const auto functions = broker_.find_lease(g->id)->functions;
    g->granted.netdevs.resize(functions.size());
    g->outstanding = functions.size();
    for (std::size_t i = 0; i < functions.size(); ++i) {
        const auto& function = functions[i];
        const auto pf = hardware_.address_of(function.slot.pf);
        const auto done = [this, g, i](Result<WorkerReply> reply) {
            netdev_lent(g, i, std::move(reply));
        };
        if (!pf) {
            done(fail(Code::lost, fmt::format("lend {}", function.address), function.address.str(),
                      "its physical function was removed from the machine"));
            continue;
        }
        hardware_.worker_of(function.slot.pf)
            .call({.operation = "lend-netdev",
                   .parameters = {{"pf", pf->str()}, {"vf", function.address.str()}},
                   .timeout = kNetdevTimeout,
                   .subject = function.address.str(),
                   .done = done,
                   .part = {},
                   .late = {}});
    }
}

void Leasing::netdev_lent(const GrantingPtr& g, std::size_t position, Result<WorkerReply> reply) {
    if (reply)
        g->granted.netdevs[position] = reply->parameters.at("netdev").get<std::string>();
    else
        g->error = std::move(reply).error();
    if (--g->outstanding > 0) return;
    if (g->error) return abort(g, std::move(*g->error));
    hand_over(g, std::vector<LentNode>{});
}

Result<std::vector<LentNode>> Leasing::lend_nodes(Granting& g) {
    const Lease& lease = *broker_.find_lease(g.id);
    std::vector<LentNode> lent;
    for (std::size_t i = 0; i < lease.functions.size(); ++i) {
        const auto& address = lease.functions[i].address;
        VFB_TRY(const auto nodes, vfio::find_nodes(root_, address));
        if (!nodes.group)
            return fail(Code::lost, fmt::format("lend the node of {}", address), address.str(),
                        "its group has no node under /dev/vfio", "dmesg shows what vfio-pci said");
        g.granted.nodes[i] = *nodes.group;
        if (std::ranges::any_of(lent, [&](const auto& n) { return n.path == *nodes.group; }))
            continue;
        VFB_TRY(const auto original, root_.dev().owner(*nodes.group));
        lent.push_back({.path = *nodes.group, .original = original});
    }
    return lent;
}

void Leasing::hand_over(const GrantingPtr& g, Result<std::vector<LentNode>> nodes) {
    if (!nodes) return abort(g, std::move(nodes).error());
    if (g->cancelled) return abort(g, {});
    // In the store before the owner changes, so that a crash in between gives them back.
    if (auto settled = broker_.settle(g->id, *nodes, g->attributes); !settled)
        return abort(g, std::move(settled).error());
    const broker::Owner owner = broker_.find_lease(g->id)->owner;
    for (const LentNode& node : *nodes) {
        const Dir::Owner lent{
            .uid = owner.uid, .gid = node.original.gid, .mode = S_IRUSR | S_IWUSR};
        if (auto given = root_.dev().set_owner(node.path, lent); !given)
            return abort(g, std::move(given).error());
    }
    if (auto raised = raise_memory_lock(*g); !raised) return abort(g, std::move(raised).error());
    if (auto watched = watch_owner(g->id, g->session, g->connection_fd); !watched)
        return abort(g, std::move(watched).error());
    granting_.remove(g);
    log_granted(*broker_.find_lease(g->id), g->caller);
    g->reply(std::move(g->granted));
}

Result<> Leasing::raise_memory_lock(const Granting& g) const {
    // The kernel drives it, and no process locks memory for that.
    if (g.choice.request.hand_off == broker::HandOff::netdev) return {};
    // Used by another process than the one that is known, which may not be there yet.
    const bool by_another = g.choice.request.owner == OwnerKind::guest ||
                            g.choice.request.hand_off == broker::HandOff::none;
    if (by_another && !g.choice.request.memory_lock) return {};
    const ProcessId process = broker_.find_lease(g.id)->owner.process;
    const pid_t pid = process.pid;
    const std::string operation = fmt::format("raise the memory-lock limit of process {}", pid);
    // The pidfd is opened before and checked after: the limit reached that process or none.
    VFB_TRY(const auto pidfd, open_pidfd(root_.proc(), process));
    rlimit now{};
    if (::prlimit(pid, RLIMIT_MEMLOCK, nullptr, &now) != 0)
        return fail_errno(errno, operation, std::to_string(pid));
    const rlim_t wanted = g.choice.memory_lock;
    if (now.rlim_cur >= wanted) return {};
    const rlimit raised{.rlim_cur = wanted, .rlim_max = std::max(now.rlim_max, wanted)};
    if (::prlimit(pid, RLIMIT_MEMLOCK, &raised, nullptr) != 0)
        return fail_errno(errno, operation, std::to_string(pid), {},
                          "vfbrokerd needs CAP_SYS_RESOURCE: its unit grants it");
    return {};
}

// Takes back what is there already; a lease that was never handed over was never used, but its VF
// may hold half of the attributes, so it is scrubbed like any other: once its descriptors are
// closed, which until then would be in the way.
void Leasing::abort(const GrantingPtr& g, Error error) {
    granting_.remove(g);
    closer_.close(std::move(g->granted.descriptors), [this, g, error = std::move(error)]() mutable {
        end_at_last(g->id, "it could not be handed over");
        if (!g->cancelled) g->reply(std::unexpected(std::move(error)));
    });
}

}  // namespace vfb::daemon
