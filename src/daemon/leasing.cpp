// SPDX-License-Identifier: GPL-2.0-or-later
#include "leasing.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <map>

#include "log.hpp"
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

std::string keep_operation(LeaseId id) {
    return fmt::format("keep lease {}", id);
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

Result<> Leasing::try_grant(Waiting& waiting) {
    VFB_TRY(auto choice, broker_.choose(waiting.request, waiting.caller, hardware_.support()));
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
    log(Level::info, "lease {}: {} of pool {} to uid {} (pid {})", g->id,
        g->choice.slots.size() == 1 ? "1 function"
                                    : fmt::format("{} functions", g->choice.slots.size()),
        g->choice.request.pool, owner.uid, owner.process.pid);
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
// may hold half of the attributes, so it is scrubbed like any other.
void Leasing::abort(const GrantingPtr& g, Error error) {
    granting_.remove(g);
    if (auto ended = broker_.end(g->id)) {
        watches_.erase(g->id);
        take_back(*ended, "it could not be handed over");
    }
    if (!g->cancelled) g->reply(std::unexpected(std::move(error)));
}

Result<> Leasing::watch_owner(LeaseId id, std::uint64_t session, int connection_fd) {
    const Lease& lease = *broker_.find_lease(id);
    if (lease.owner.kind == OwnerKind::guest) return {};
    if (lease.owner.kind == OwnerKind::connection) {
        watches_[id].session = session;
        fd_store_.put(FdStore::connection_name(id), connection_fd);
        return {};
    }
    VFB_TRY(auto pidfd, open_pidfd(root_.proc(), lease.owner.process));
    fd_store_.put(FdStore::process_name(id), pidfd.get());
    return watch_process(id, std::move(pidfd));
}

Result<> Leasing::watch_process(LeaseId id, UniqueFd pidfd) {
    VFB_TRY(auto source, loop_.watch(pidfd.get(), EPOLLIN, [this, id](std::uint32_t) {
        owner_gone(id, "its process has ended");
    }));
    watches_[id] = Watch{.pidfd = std::move(pidfd), .source = std::move(source), .session = {}};
    return {};
}

void Leasing::owner_gone(LeaseId id, const std::string& how) {
    auto ended = broker_.end(id);
    if (!ended) {
        log_error(ended.error());
        watches_.erase(id);
        return;
    }
    log(Level::info, "lease {} ended: {}", id, how);
    take_back(*ended, how);
}

void Leasing::take_back(const Lease& lease, const std::string& how) {
    watches_.erase(lease.id);
    if (lease.owner.kind == OwnerKind::connection)
        fd_store_.remove(FdStore::connection_name(lease.id));
    if (lease.owner.kind == OwnerKind::process) fd_store_.remove(FdStore::process_name(lease.id));
    take_back_nodes(lease.nodes);
    for (const auto& function : lease.functions)
        if (!function.lost) hardware_.scrubber().scrub(function.slot);
    if (on_end_) on_end_(lease, how);
}

void Leasing::take_back_nodes(const std::vector<LentNode>& nodes) {
    for (const LentNode& node : nodes) {
        if (!root_.dev().exists(node.path)) continue;  // its group is gone, and the node with it
        if (auto done = root_.dev().set_owner(node.path, node.original); !done)
            log_error(done.error());
    }
}

void Leasing::connection_closed(std::uint64_t session) {
    std::erase_if(waiting_, [&](const Waiting& waiting) { return waiting.session == session; });
    for (const auto& granting : granting_)
        if (granting->session == session) granting->cancelled = true;
    std::vector<LeaseId> ended;
    for (const auto& [id, watch] : watches_)
        if (watch.session == session) ended.push_back(id);
    for (const LeaseId id : ended) owner_gone(id, "its connection was closed");
}

Result<> Leasing::release(LeaseId id, std::optional<std::uint64_t> generation,
                          const broker::Caller& caller) {
    const std::string operation = fmt::format("release lease {}", id);
    const Lease* lease = broker_.find_lease(id);
    // A lease that the caller may not see is told apart from none to nobody.
    if (lease == nullptr || !broker::Broker::may_touch(*lease, caller))
        return fail(Code::not_found, operation, std::to_string(id), "you have no such lease",
                    "vfbroker leases");
    if (!lease->settled)
        return fail(Code::busy, operation, std::to_string(id), "it is being handed over just now");
    VFB_TRY(const auto ended, broker_.end(id, generation));
    const std::string how = fmt::format("released by uid {}", caller.uid);
    log(Level::info, "lease {} ended: {}", id, how);
    take_back(ended, how);
    return {};
}

Result<> Leasing::transfer(LeaseId id, const std::optional<ProcessId>& to,
                           const broker::Caller& caller) {
    const std::string operation = fmt::format("transfer lease {}", id);
    const Lease* lease = broker_.find_lease(id);
    if (lease == nullptr || !broker::Broker::may_touch(*lease, caller))
        return fail(Code::not_found, operation, std::to_string(id), "you have no such lease",
                    "vfbroker leases");
    if (!lease->settled)
        return fail(Code::busy, operation, std::to_string(id), "it is being handed over just now");
    const OwnerKind before = lease->owner.kind;
    if (before == OwnerKind::guest)
        return fail(Code::invalid, operation, std::to_string(id),
                    "it stays until it is released, whatever its process does");
    const ProcessId process = to.value_or(lease->owner.process);
    if (before == OwnerKind::process && process == lease->owner.process) return {};
    // A process that has ended owns nothing: the lease stays its owner's.
    VFB_TRY(auto pidfd, open_pidfd(root_.proc(), process));
    VFB_CHECK(broker_.transfer(id, process));
    if (before == OwnerKind::connection) fd_store_.remove(FdStore::connection_name(id));
    if (before == OwnerKind::process) fd_store_.remove(FdStore::process_name(id));
    fd_store_.put(FdStore::process_name(id), pidfd.get());
    watches_.erase(id);
    if (auto watched = watch_process(id, std::move(pidfd)); !watched) {
        owner_gone(id, "its process cannot be watched");
        return watched;
    }
    log(Level::info, "lease {} belongs to pid {} ({}) now", id, process.pid,
        process_name(root_.proc(), process.pid));
    return {};
}

bool Leasing::has_netdev(const Lease& lease) const {
    return std::ranges::any_of(lease.functions, [this](const broker::LeasedFunction& leased) {
        const pci::Function* function = leased.lost ? nullptr : world_.find(leased.address);
        return function != nullptr && !function->netdevs.empty();
    });
}

void Leasing::keep(LeaseId id, std::uint64_t session, std::function<void(Result<>)> done) {
    const Lease* lease = broker_.find_lease(id);
    const auto watch = watches_.find(id);
    if (lease == nullptr || watch == watches_.end() || watch->second.session != session)
        return done(fail(Code::not_found, keep_operation(id), std::to_string(id),
                         "no lease of this connection has that number",
                         "a lease is kept over the connection that asked for it"));
    if (lease->guest.empty())
        return done(fail(Code::invalid, keep_operation(id), std::to_string(id),
                         "it was leased without a guest's name, so nobody would know whose it is",
                         "name the guest when leasing"));
    // What is known of its interfaces may be older than their way into the guest's namespace.
    std::vector<pci::Address> addresses;
    for (const auto& function : lease->functions) addresses.push_back(function.address);
    world_.refresh(addresses,
                   [this, id, session, done = std::move(done)] { done(keep_now(id, session)); });
}

Result<> Leasing::keep_now(LeaseId id, std::uint64_t session) {
    const Lease* lease = broker_.find_lease(id);
    const auto watch = watches_.find(id);
    if (lease == nullptr || watch == watches_.end() || watch->second.session != session)
        return fail(Code::lost, keep_operation(id), std::to_string(id), "it has ended meanwhile");
    for (const auto& function : lease->functions)
        if (function.lost)
            return fail(Code::lost, keep_operation(id), function.address.str(),
                        fmt::format("{} was removed from the machine", function.address));
    if (lease->hand_off == broker::HandOff::netdev && has_netdev(*lease))
        return fail(Code::busy, keep_operation(id), std::to_string(id),
                    "its network interface is in the host's network namespace",
                    "move it into the guest's first; if that was done, that namespace has ended");
    VFB_CHECK(broker_.keep(id));
    watches_.erase(id);
    fd_store_.remove(FdStore::connection_name(id));
    log(Level::info, "lease {} is kept for {}", id, lease->guest);
    return {};
}

void Leasing::end_returned() {
    std::vector<LeaseId> returned;
    for (const auto& [id, lease] : broker_.leases())
        if (lease.settled && lease.owner.kind == OwnerKind::guest &&
            lease.hand_off == broker::HandOff::netdev && has_netdev(lease))
            returned.push_back(id);
    for (const LeaseId id : returned)
        owner_gone(id, "its network interface came back from a namespace that has ended");
}

void Leasing::end_returned(const pci::Address& address) {
    const broker::Slot* slot = broker_.find_at(address);
    if (slot != nullptr && slot->lease) end_returned();
}

void Leasing::adopt(const std::function<std::optional<std::uint64_t>(UniqueFd)>& adopt_connection) {
    std::vector<LeaseId> ids;
    for (const auto& [id, lease] : broker_.leases()) ids.push_back(id);
    for (const LeaseId id : ids) {
        const Lease& lease = *broker_.find_lease(id);
        if (!lease.settled) {
            owner_gone(id, "it had not been handed over when vfbrokerd ended");
            continue;
        }
        switch (lease.owner.kind) {
            case OwnerKind::guest:
                continue;
            case OwnerKind::process: {
                auto pidfd = open_pidfd(root_.proc(), lease.owner.process);
                if (!pidfd || !watch_process(id, std::move(*pidfd)))
                    owner_gone(id, "its process ended while vfbrokerd was not running");
                continue;
            }
            case OwnerKind::connection: {
                UniqueFd fd = fd_store_.take(FdStore::connection_name(id));
                const auto session = fd ? adopt_connection(std::move(fd)) : std::nullopt;
                if (session)
                    watches_[id].session = session;
                else
                    owner_gone(id, "its connection did not outlive the last vfbrokerd");
                continue;
            }
        }
    }
}

}  // namespace vfb::daemon
