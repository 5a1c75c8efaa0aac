// SPDX-License-Identifier: GPL-2.0-or-later
#include "hardware.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/epoll.h>

#include <algorithm>

#include "log.hpp"
#include "wire.hpp"

namespace vfb::daemon {
namespace {

using namespace std::chrono_literals;
using broker::Slot;
using broker::SlotKey;
using broker::SlotState;

constexpr auto kPrepareTimeout = 60s;

bool matches(const broker::PfSelector& wanted, const pci::Function& f) {
    const auto has_mac = [&](const nic::MacAddress& mac) {
        return std::ranges::any_of(f.netdevs, [&](const pci::Netdev& netdev) {
            const auto own = nic::MacAddress::parse(netdev.permanent_mac);
            return own && *own == mac;
        });
    };
    return (!wanted.address || *wanted.address == f.address) &&
           (!wanted.slot || *wanted.slot == f.slot) && (!wanted.mac || has_mac(*wanted.mac)) &&
           (!wanted.driver || wanted.driver == f.driver) &&
           (!wanted.vendor || *wanted.vendor == f.vendor) &&
           (!wanted.device || *wanted.device == f.device);
}

// Exactly one SR-IOV function, or why not.
Result<pci::Address> match(const broker::PfConfig& pf, const iommu::Functions& functions) {
    const std::string operation = fmt::format("find PF {} ({})", pf.name, pf.selector.str());
    std::vector<pci::Address> found;
    const pci::Function* without_sriov = nullptr;
    for (const auto& [address, function] : functions) {
        if (!matches(pf.selector, function)) continue;
        if (function.is_pf())
            found.push_back(address);
        else
            without_sriov = &function;
    }
    if (found.size() == 1) return found.front();
    if (found.size() > 1)
        return fail(Code::invalid, operation, pf.name,
                    fmt::format("{} functions match: {}", found.size(), fmt::join(found, ", ")),
                    fmt::format("add a selector (address, slot or mac) at {}", pf.location.str()));
    if (without_sriov != nullptr)
        return fail(
            Code::unsupported, operation, pf.name,
            fmt::format("{} ({}) has no SR-IOV", without_sriov->address, without_sriov->ids()),
            "SR-IOV may be off in the firmware setup of the machine or of the card");
    return fail(
        Code::not_found, operation, pf.name, "no function of this machine matches",
        fmt::format("vfbroker list --all shows all; the selector is at {}", pf.location.str()));
}

}  // namespace

std::string_view to_string(PfStatus::State state) {
    switch (state) {
        case PfStatus::State::missing:
            return "missing";
        case PfStatus::State::applying:
            return "applying";
        case PfStatus::State::ready:
            return "ready";
        case PfStatus::State::failed:
            return "failed";
        case PfStatus::State::stuck:
            return "stuck";
    }
    return "failed";
}

Worker& Hardware::worker_of(const std::string& pf) {
    const auto it = pfs_.find(pf);
    const bool known = it != pfs_.end() && it->second.address;
    return workers_.of(known ? it->second.address->str() : pf);
}

bool Hardware::settled() const {
    return scrubbing_.empty() && std::ranges::none_of(pfs_, [](const auto& entry) {
               return entry.second.state == PfStatus::State::applying;
           });
}

void Hardware::apply() {
    support_ = vfio::read_support(root_, std::nullopt);
    std::erase_if(
        pfs_, [&](const auto& entry) { return broker_.config().find_pf(entry.first) == nullptr; });
    // What failed is tried again: that is what a reload is for.
    for (auto& [name, status] : pfs_)
        if (status.state == PfStatus::State::failed) status.state = PfStatus::State::missing;
    match_pfs();
    for (const auto& [name, status] : pfs_)
        if (status.state == PfStatus::State::ready) sync(name);
    std::vector<SlotKey> again;
    for (const auto& [key, slot] : broker_.slots())
        if (slot.state == SlotState::quarantined) again.push_back(key);
    for (const auto& key : again) scrub(key);
}

void Hardware::match_pfs() {
    for (const broker::PfConfig& pf : broker_.config().pfs) {
        PfStatus& status = pfs_[pf.name];
        if (status.state != PfStatus::State::missing) continue;
        auto address = match(pf, world_.functions());
        if (address) {
            status.address = *address;
            prepare(pf);
            continue;
        }
        const bool news = !status.problem || status.problem->message() != address.error().message();
        if (news) log_error(address.error(), Level::warning);
        status.address.reset();
        status.problem = std::move(address).error();
    }
}

void Hardware::prepare(const broker::PfConfig& pf) {
    PfStatus& status = pfs_[pf.name];
    const pci::Address address = *status.address;
    const pci::Function* function = world_.find(address);
    const unsigned total = function != nullptr && function->sriov ? function->sriov->total : 0;
    if (pf.vfs > total) {
        status.state = PfStatus::State::failed;
        status.problem = fail(Code::invalid, fmt::format("create {} VFs on {}", pf.vfs, address),
                              address.str(), fmt::format("it can have at most {}", total),
                              fmt::format("lower vfs of [pf.{}] at {}", pf.name, pf.location.str()))
                             .error();
        log_error(*status.problem);
        return;
    }
    status.state = PfStatus::State::applying;
    status.problem.reset();
    worker_of(pf.name).call(
        {.operation = "prepare-pf",
         .parameters = {{"pf", address.str()}, {"vfs", pf.vfs}, {"linkUp", pf.link_up}},
         .timeout = kPrepareTimeout,
         .subject = address.str(),
         .done = [this, name = pf.name, address](
                     Result<WorkerReply> reply) { prepared(name, address, std::move(reply)); },
         .part = {},
         .late =
             [this, name = pf.name] {
                 pfs_[name].state = PfStatus::State::missing;
                 match_pfs();
             }});
}

void Hardware::prepared(const std::string& name, const pci::Address& address,
                        Result<WorkerReply> reply) {
    const auto it = pfs_.find(name);
    if (it == pfs_.end() || it->second.address != address) return;  // another one by now
    PfStatus& status = it->second;
    Result<> recorded;
    if (reply) recorded = record(name, address, reply->parameters);
    if (!reply || !recorded) {
        Error error = reply ? std::move(recorded).error() : std::move(reply).error();
        log_error(error);
        status.state = error.code == Code::stuck ? PfStatus::State::stuck : PfStatus::State::failed;
        status.problem = std::move(error);
        if (on_slot_change_) on_slot_change_();
        return;
    }
    std::vector<pci::Address> touched{address};
    for (const auto& vf : reply->parameters["vfs"])
        if (const auto parsed = pci::Address::parse(vf["address"].get<std::string>()))
            touched.push_back(*parsed);
    check_count(name, status, touched.size() - 1);
    if (reply->parameters.value("created", false))
        log(Level::info, "created {} VFs on {} (PF {})", touched.size() - 1, address, name);
    // Ready when the world has been read again: until then it may show the PF without its VFs, and
    // their groups and NUMA nodes have to be known before anything is done with them.
    world_.refresh(touched, [this, name, address] {
        const auto now = pfs_.find(name);
        if (now == pfs_.end() || now->second.address != address) return;
        now->second.state = PfStatus::State::ready;
        sync(name);
        if (on_slot_change_) on_slot_change_();
    });
}

Result<> Hardware::record(const std::string& name, const pci::Address& address,
                          const proto::Json& parameters) {
    broker::StoredPf stored;
    stored.name = name;
    stored.address = address;
    stored.created_vfs = parameters.value("created", false);
    if (const auto was_up = parameters.find("wasUp"); was_up != parameters.end())
        stored.was_up = was_up->get<bool>();
    VFB_TRY(const auto known, broker_.remembered_pfs());
    for (const auto& old : known) {
        if (old.name != name || old.address != address) continue;
        // Only what was found at first is the original.
        stored.created_vfs |= old.created_vfs;
        if (old.was_up) stored.was_up = old.was_up;
    }
    VFB_CHECK(broker_.remember_pf(stored));
    std::uint16_t index = 0;
    for (const auto& vf : parameters.at("vfs"))
        VFB_CHECK(broker_.remember_original({name, index++}, binding_from_json(vf.at("binding"))));
    return {};
}

void Hardware::check_count(const std::string& name, PfStatus& status, std::size_t present) {
    const broker::PfConfig* pf = broker_.config().find_pf(name);
    if (pf == nullptr || present == pf->vfs) return;
    status.problem =
        fail(Code::busy, fmt::format("have {} VFs on {}", pf->vfs, *status.address),
             status.address->str(),
             fmt::format("it has {} already, and changing the number would remove those", present),
             fmt::format("when none of them is in use: echo 0 > .../{}/sriov_numvfs, then "
                         "vfbroker reload",
                         *status.address))
            .error();
    log_error(*status.problem, Level::warning);
}

void Hardware::sync(const std::string& name) {
    const auto it = pfs_.find(name);
    if (it == pfs_.end() || it->second.state != PfStatus::State::ready) return;
    PfStatus& status = it->second;
    const pci::Function* pf = world_.find(*status.address);
    std::vector<SlotKey> keys;
    for (const auto& [key, slot] : broker_.slots())
        if (key.pf == name) keys.push_back(key);
    std::vector<SlotKey> to_scrub;
    bool unknown_original = false;
    for (const SlotKey& key : keys) {
        const Slot& slot = *broker_.find(key);
        const auto* vfs = pf != nullptr && pf->sriov ? &pf->sriov->vfs : nullptr;
        const pci::Function* vf =
            vfs != nullptr && key.index < vfs->size() ? world_.find((*vfs)[key.index]) : nullptr;
        const broker::Lease* lease = slot.lease ? broker_.find_lease(*slot.lease) : nullptr;
        bool other_hardware = slot.address && (vf == nullptr || vf->address != *slot.address);
        if (lease != nullptr && vf != nullptr)
            other_hardware |= std::ranges::any_of(lease->functions, [&](const auto& function) {
                return function.slot == key && function.address != vf->address;
            });
        if (other_hardware || (lease != nullptr && vf == nullptr))
            lose_slot(key, fail(Code::lost, fmt::format("use VF {} of {}", key.index, name),
                                key.str(), "it was removed from the machine",
                                "it is prepared again when it comes back")
                               .error());
        if (vf == nullptr) continue;
        unknown_original |= !broker_.find(key)->original;
        if (broker_.locate(key, vf->address, vf->group, vf->numa_node)) to_scrub.push_back(key);
    }
    // VFs that somebody else created: see what they are bound to before anything is done to them.
    if (unknown_original) {
        prepare(*broker_.config().find_pf(name));
        return;
    }
    const bool none = pf != nullptr && pf->sriov && pf->sriov->vfs.empty();
    if (none && !keys.empty()) {
        status.state = PfStatus::State::failed;
        status.problem = fail(Code::lost, fmt::format("use the VFs of PF {}", name), name,
                              "another program removed them", "vfbroker reload creates them again")
                             .error();
        log_error(*status.problem);
    }
    for (const SlotKey& key : to_scrub) scrub(key);
}

void Hardware::lose_slot(const SlotKey& key, Error why) {
    const Slot* slot = broker_.find(key);
    if (slot == nullptr) return;
    const auto lease = slot->lease;
    const std::string where = slot->address ? slot->address->str() : key.str();
    holding_.erase(key);
    if (auto lost = broker_.lose(key, std::move(why)); !lost) log_error(lost.error());
    if (!lease) return;
    log(Level::warning, "{} went away under lease {}: its owner has lost it", where, *lease);
    if (on_lost_) on_lost_(*lease);
}

void Hardware::on_world_change(const pci::Address& address, const pci::Function* before,
                               const pci::Function* now) {
    const auto pf_address = [](const pci::Function* f) {
        return f == nullptr ? std::nullopt : f->is_pf() ? std::optional(f->address) : f->physfn;
    };
    const auto pf = now != nullptr ? pf_address(now) : pf_address(before);
    std::vector<std::string> concerned;
    for (auto& [name, status] : pfs_)
        if (pf && status.address == *pf) concerned.push_back(name);
    for (const std::string& name : concerned) {
        PfStatus& status = pfs_[name];
        if (now == nullptr && address == *pf) {
            status.problem = fail(Code::lost, fmt::format("use PF {} at {}", name, address), name,
                                  "it was removed from the machine",
                                  "it gets its configuration again when it comes back")
                                 .error();
            log_error(*status.problem, Level::warning);
            status.state = PfStatus::State::ready;  // sync() works on a PF that is there
            sync(name);
            status.state = PfStatus::State::missing;
            status.address.reset();
        } else {
            sync(name);
        }
    }
    if (now != nullptr && now->is_pf()) match_pfs();
    if (now == nullptr || (before != nullptr && before->driver != now->driver))
        retry_group(address, now != nullptr ? *now : *before);
}

void Hardware::retry_group(const pci::Address& address, const pci::Function& function) {
    std::vector<SlotKey> again;
    for (const auto& [key, slot] : broker_.slots()) {
        const bool blocked = slot.state == SlotState::quarantined && slot.problem &&
                             slot.problem->code == Code::not_viable;
        if (blocked && function.group && slot.group == function.group && slot.address != address)
            again.push_back(key);
        // Somebody bound a clean VF to another driver: it is clean no more.
        const bool taken = slot.state == SlotState::clean && slot.address == address &&
                           (!function.driver || function.driver->find("vfio") == std::string::npos);
        if (taken) {
            log(Level::warning, "another program unbound {} from its VFIO driver", address);
            again.push_back(key);
        }
    }
    for (const SlotKey& key : again) scrub(key);
}

void Hardware::scrub(const SlotKey& key) {
    const Slot* slot = broker_.find(key);
    if (slot == nullptr || slot->lease || !slot->address || scrubbing_.contains(key)) return;
    holding_.erase(key);
    const auto status = pfs_.find(key.pf);
    if (status == pfs_.end() || !status->second.address) return;
    broker_.mark_preparing(key);
    scrubbing_.insert(key);
    broker::ScrubRequest request;
    request.pf = *status->second.address;
    request.vf = *slot->address;
    request.index = key.index;
    request.attributes = broker_.default_attributes(key);
    if (const auto* pool = broker_.config().pool_of(key.pf, key.index)) {
        request.driver = pool->driver.value_or("auto");
        request.reset_required = pool->reset == broker::ResetPolicy::required;
        if (pool->backend != broker::BackendChoice::automatic)
            request.backend = pool->backend == broker::BackendChoice::iommufd
                                  ? vfio::Backend::iommufd
                                  : vfio::Backend::group;
    }
    worker_of(key.pf).call(
        {.operation = "scrub",
         .parameters = to_json(request),
         .timeout = kPrepareTimeout,
         .subject = request.vf.str(),
         .done = [this, key, address = request.vf](
                     Result<WorkerReply> reply) { scrubbed(key, address, std::move(reply)); },
         .part = {},
         .late = [this, key] { scrub(key); }});
}

void Hardware::scrubbed(const SlotKey& key, const pci::Address& address,
                        Result<WorkerReply> reply) {
    scrubbing_.erase(key);
    const Slot* slot = broker_.find(key);
    if (slot == nullptr || slot->lease) return;
    if (slot->address != address) {
        scrub(key);  // it came back elsewhere meanwhile
        return;
    }
    if (!reply) {
        refused(key, address, std::move(reply).error());
    } else {
        support_ = support_from_json(reply->parameters.at("support"));
        if (auto attributes = attributes_from_json(reply->parameters.at("attributes"))) {
            broker_.mark_clean(key, *attributes);
            log(Level::info, "{} is clean (pool {})", address, slot->pool);
        } else {
            broker_.quarantine(key, std::move(attributes).error());
        }
    }
    if (on_slot_change_) on_slot_change_();
}

void Hardware::refused(const SlotKey& key, const pci::Address& address, Error error) {
    if (error.code == Code::stuck) {
        log_error(error);
        broker_.mark_stuck(key, std::move(error));
        return;
    }
    const pci::Function* function = world_.find(address);
    const bool with_vfio = function != nullptr && function->driver &&
                           function->driver->find("vfio") != std::string::npos;
    if (error.code == Code::busy && with_vfio) {
        log_error(error, Level::notice);
        broker_.mark_dirty(key, std::move(error));
        wait_for_holders(key, address);
        return;
    }
    if (error.code == Code::lost || error.code == Code::not_found)
        world_.refresh({address});  // most likely it is gone
    log_error(error, Level::warning);
    broker_.quarantine(key, std::move(error));
}

void Hardware::wait_for_holders(const SlotKey& key, const pci::Address& address) {
    const auto watch = [this, key](const proto::Json& holders) {
        const Slot* slot = broker_.find(key);
        if (slot == nullptr || slot->state != SlotState::dirty) return;
        Holding& holding = holding_[key];
        for (const auto& holder : holders) {
            const auto process = identify_process(root_.proc(), holder.at("pid").get<pid_t>());
            if (!process) continue;
            auto pidfd = open_pidfd(root_.proc(), *process);
            if (!pidfd) continue;
            auto source = loop_.watch(pidfd->get(), EPOLLIN, [this, key](auto) { scrub(key); });
            if (!source) continue;
            holding.pidfds.push_back(std::move(*pidfd));
            holding.sources.push_back(std::move(*source));
        }
        // A holder may also close it without ending, and the kernel announces that to nobody.
        if (auto timer = loop_.after(1s, [this, key] { scrub(key); }))
            holding.retry = std::move(*timer);
    };
    worker_of(key.pf).call({.operation = "holders",
                            .parameters = {{"address", address.str()}},
                            .timeout = kPrepareTimeout,
                            .subject = address.str(),
                            .done =
                                [watch](Result<WorkerReply> reply) {
                                    watch(reply ? reply->parameters.at("holders")
                                                : proto::Json::array());
                                },
                            .part = {},
                            .late = {}});
}

void Hardware::put_back(const std::vector<Slot>& dropped) {
    for (const Slot& slot : dropped) {
        holding_.erase(slot.key);
        if (!slot.address || !slot.original) continue;
        log(Level::info, "{} is in no pool any more: its driver is put back", *slot.address);
        worker_of(slot.key.pf)
            .call({.operation = "restore",
                   .parameters = {{"address", slot.address->str()},
                                  {"binding", to_json(*slot.original)}},
                   .timeout = kPrepareTimeout,
                   .subject = slot.address->str(),
                   .done =
                       [](const Result<WorkerReply>& reply) {
                           if (!reply) log_error(reply.error());
                       },
                   .part = {},
                   .late = {}});
    }
}

}  // namespace vfb::daemon
