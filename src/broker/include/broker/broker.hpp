// SPDX-License-Identifier: GPL-2.0-or-later
//
// Broker: pools, leases and the states of slots. It decides and records; it touches no device. The
// daemon tells it what the kernel and the workers say, and asks it who may have what.
//
//   absent -> preparing -> clean -> leased -> dirty -> preparing -> ...
//                      \-> quarantined, stuck          (reload or a change in the machine:
//                      preparing)
//
// Every change that is a promise (a lease, a generation, an original driver) is in the store before
// the call returns. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <ranges>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "broker/config.hpp"
#include "broker/model.hpp"
#include "broker/store.hpp"

namespace vfb::broker {

// What choose() found: nothing is taken yet.
struct Choice {
    LeaseRequest request;
    std::vector<SlotKey> slots;
    vfio::Backend backend = vfio::Backend::iommufd;
    // Per slot: what differs from its proven clean state and has to be written; empty mostly.
    std::vector<nic::VfAttributes> to_write;
    std::uint64_t memory_lock = 0;  // bytes, within the pool's bound
};

class Broker {
public:
    // Reads the promises of an earlier daemon. Leases come back as they were, slots as `absent`
    // until locate() says where they are.
    static Result<Broker> open(Store store, std::uint64_t machine_memory);

    // Replaces the configuration. A slot that no pool has any more is leased to nobody from now on,
    // and stays until retire() takes it: one under a lease until the lease has ended.
    void configure(Config config);
    // The texts of the last configuration that was right, for a daemon of this boot that finds only
    // wrong ones; nullopt: there was none.
    Result<std::optional<ConfigTexts>> last_good() { return store_.configuration(); }
    Result<> remember_good(const ConfigTexts& texts) { return store_.put_configuration(texts); }
    // Takes out the slots that no pool has and that are at rest (clean, quarantined or absent), so
    // that they can be given back to the host as they were found.
    std::vector<Slot> retire();
    // What is in force: the configuration, with the numbers of VFs that resizes changed.
    [[nodiscard]] const Config& config() const { return config_; }

    [[nodiscard]] const std::map<SlotKey, Slot>& slots() const { return slots_; }
    // Those of the PF of that name, in order.
    using SlotRange = std::ranges::subrange<std::map<SlotKey, Slot>::const_iterator>;
    [[nodiscard]] SlotRange slots_of(const std::string& pf) const;
    // Counts changes of slots, so that what is derived from them can be kept.
    [[nodiscard]] std::uint64_t version() const { return version_; }
    [[nodiscard]] const Slot* find(const SlotKey& key) const;
    [[nodiscard]] const Slot* find_at(const pci::Address& address) const;
    [[nodiscard]] const std::map<LeaseId, Lease>& leases() const { return leases_; }
    [[nodiscard]] const Lease* find_lease(LeaseId id) const;
    // The lease that holds the function at `address` by another slot than `key`: its PF has another
    // name in the configuration now.
    [[nodiscard]] const Lease* find_lease_of_another(const SlotKey& key,
                                                     const pci::Address& address) const;
    // Where its function is: as located, or else as its lease says, which an earlier daemon made.
    [[nodiscard]] std::optional<pci::Address> function_of(const Slot& slot) const;
    // Whether it is a slot of the PF that has the name `pf` or is at the address `at`. A PF that
    // gets another name keeps slots under the one before until their leases have ended: what is
    // done to a PF is done to those as well.
    [[nodiscard]] bool belongs(const Slot& slot, const std::string& pf,
                               const std::optional<pci::Address>& at) const;
    // The same for a PF of the configuration, which is where the kernel has it now.
    [[nodiscard]] bool belongs(const Slot& slot, const std::string& pf) const;

    // --- what the machine says
    // The slot's function is at `address`. A slot that was absent becomes `preparing`, or stays
    // `leased` when the lease was for that very function. True when it has to be scrubbed.
    bool locate(const SlotKey& key, const pci::Address& address, std::optional<std::uint32_t> group,
                std::optional<int> numa_node);
    // The function is not there (any more). A lease that holds it is marked: its part is lost.
    Result<> lose(const SlotKey& key, Error why);
    Result<> remember_original(const SlotKey& key, const pci::Binding& original);
    Result<> remember_pf(const StoredPf& pf) { return store_.put_pf(pf); }
    Result<std::vector<StoredPf>> remembered_pfs() { return store_.pfs(); }
    // It was given back: what is found next is the original. Generations stay.
    Result<> forget_original(const SlotKey& key);
    Result<> forget_pf(const std::string& name);
    // Slots of this boot, whether or not they are configured now.
    [[nodiscard]] const std::map<SlotKey, StoredSlot>& remembered_slots() const { return stored_; }

    // --- what the scrub says
    void mark_preparing(const SlotKey& key);
    // An Error: it could not be written down that it was taken back, and nothing has changed.
    Result<> mark_clean(const SlotKey& key, const nic::VfAttributes& attributes,
                        std::vector<std::string> unsupported = {});
    void mark_dirty(const SlotKey& key, Error why);  // somebody still holds it
    void quarantine(const SlotKey& key, Error why);
    void mark_stuck(const SlotKey& key, Error why);

    // What is wrong with a slot that is leased, or that nothing is.
    void note(const SlotKey& key, std::optional<Error> problem);

    // --- leases
    // Who may have what now. Pure. Code::not_found (pool), denied, invalid (attributes, bounds),
    // exhausted (more than the pool has), busy (not now), or why the pool's functions are unusable.
    [[nodiscard]] Result<Choice> choose(const LeaseRequest& request, const Caller& caller,
                                        const vfio::Support& support) const;
    // Takes the slots: generation up, state leased, intent in the store.
    Result<LeaseId> begin(const Choice& choice, const Caller& caller, std::int64_t now);
    // The owner has (or is about to have) everything: nodes lent, attributes as read back. Refused
    // when a function was lost meanwhile.
    Result<> settle(LeaseId id, std::vector<LentNode> nodes,
                    const std::vector<nic::VfAttributes>& attributes);
    // From now on it is that process's, and ends with it.
    Result<> transfer(LeaseId id, const ProcessId& process);
    // From now on it is its guest's, and not its connection's any more.
    Result<> keep(LeaseId id);
    // The lease, if it can be ended: it is there and of that generation.
    [[nodiscard]] Result<const Lease*> find_to_end(
        LeaseId id, std::optional<std::uint64_t> generation = std::nullopt) const;
    // Ends it: its slots become `preparing` and must be scrubbed. Returns what it was, so that lent
    // nodes can be taken back. `generation`, if given, must be that of its first function.
    Result<Lease> end(LeaseId id, std::optional<std::uint64_t> generation = std::nullopt);
    // Whether `caller` may release it or see it.
    [[nodiscard]] static bool may_touch(const Lease& lease, const Caller& caller);
    [[nodiscard]] static bool may_lease(const PoolConfig& pool, const Caller& caller);
    // Bound on RLIMIT_MEMLOCK for leases of the pool, bytes.
    [[nodiscard]] std::uint64_t memory_lock_max(const PoolConfig& pool) const;

    // --- draining: what is drained is not leased from until resume(), also after a restart.
    // The PF or pool of that name; `pf:NAME` and `pool:NAME` say which when both have it.
    [[nodiscard]] Result<DrainTarget> find_target(const std::string& text) const;
    Result<> drain(const DrainTarget& target);
    Result<> resume(const DrainTarget& target);
    [[nodiscard]] const std::set<DrainTarget>& drained() const { return drained_; }
    // What the slot is drained by; nullptr when it is not.
    [[nodiscard]] const DrainTarget* drained_by(const Slot& slot) const;
    [[nodiscard]] bool concerns(const DrainTarget& target, const Slot& slot) const;
    // Leases that hold a slot of it.
    [[nodiscard]] std::vector<const Lease*> leases_of(const DrainTarget& target) const;

    // --- resizing: the number of VFs of a PF, against the configuration
    // Writes down that it begins, before anything is done.
    Result<> begin_resize(const std::string& pf, unsigned from, unsigned to);
    // It was done (true) or undone: what is in force follows.
    Result<> end_resize(const std::string& pf, bool done);
    // A resize that an earlier daemon did not see the end of.
    [[nodiscard]] const StoredResize* unsettled_resize(const std::string& pf) const;
    // The configuration counts again for that PF.
    Result<> forget_resize(const std::string& pf);
    [[nodiscard]] const std::map<std::string, StoredResize>& resizes() const { return resizes_; }

    // What the scrub leaves on a slot: the pool's attributes over the safe defaults, and a MAC.
    [[nodiscard]] nic::VfAttributes default_attributes(const SlotKey& key) const {
        return default_attributes(config_, key);
    }
    // The same with another configuration than the one in force.
    [[nodiscard]] nic::VfAttributes default_attributes(const Config& config,
                                                       const SlotKey& key) const;
    // A clean slot that no longer has what its pool says, as far as its driver reports it.
    [[nodiscard]] bool is_outdated(const Slot& slot) const;
    // Stable text for local MACs: machine id and the PF's permanent MAC.
    void set_identity(std::string machine, std::function<std::string(const std::string& pf)> pf);
    // What the kernel says: where the PF of that name is, and which PF a function is a VF of.
    // Without it, slots belong to PFs by their names alone.
    struct Places {
        std::function<std::optional<pci::Address>(const std::string& pf)> pf;
        std::function<std::optional<pci::Address>(const pci::Address& vf)> physfn;
    };
    void set_places(Places places) { places_ = std::move(places); }

private:
    Broker(Store store, std::uint64_t memory) : store_(std::move(store)), memory_(memory) {}
    Slot* slot(const SlotKey& key);  // to change it: counts as a change
    // The slot is not at its address any more; another one may be there by now, and stays.
    void leave_address(const Slot& slot);
    void apply_resizes();
    void make_slots();
    // Who has the MAC address that is asked for, if that function is free to lease; Code::busy if
    // not.
    [[nodiscard]] Result<const Slot*> slot_with_mac(const LeaseRequest& request,
                                                    const PoolConfig& pool) const;
    // Why a function that was asked for by its address cannot be had now. Of a lease that `caller`
    // may not see neither guest nor process are said.
    [[nodiscard]] Result<> refuse_taken(const LeaseRequest& request, const Slot& slot,
                                        const Caller& caller) const;
    // The slots that the request names, all of them free, and whole IOMMU groups of them.
    [[nodiscard]] Result<std::vector<const Slot*>> named_slots(const LeaseRequest& request,
                                                               const Caller& caller) const;
    // Some function of the pool has yet to be found or prepared for the first time.
    [[nodiscard]] bool is_coming(const std::string& pool) const;
    [[nodiscard]] unsigned functions_of(uid_t uid, const std::string& pool) const;

    Store store_;
    std::uint64_t memory_;
    LeaseId last_lease_ = 0;
    std::uint64_t version_ = 1;
    Config config_;                               // in force
    std::map<std::string, unsigned> configured_;  // VFs of each PF as the files say
    std::map<SlotKey, Slot> slots_;
    std::unordered_map<pci::Address, SlotKey> by_address_;
    std::map<SlotKey, StoredSlot> stored_;  // also of slots that are not configured now
    std::map<LeaseId, Lease> leases_;
    std::set<DrainTarget> drained_;
    std::map<std::string, StoredResize> resizes_;  // by PF
    std::string machine_;
    std::function<std::string(const std::string&)> pf_identity_;
    Places places_;
};

}  // namespace vfb::broker
