// SPDX-License-Identifier: GPL-2.0-or-later
//
// Store: what the broker promised, in SQLite (WAL) below /run. The kernel is the truth about
// hardware; this holds leases, generations, and the original state of everything touched. An intent
// is written before acting and settled after: an unsettled lease found at start is taken back.
//
// Nothing in it outlives a boot, so it is not synced to disk: /run is memory, and what protects a
// transaction is that a crash of the daemon cannot lose the page cache. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "broker/config.hpp"
#include "broker/model.hpp"

namespace vfb::broker {

// What is kept of a slot: the rest is read from the kernel.
struct StoredSlot {
    SlotKey key;
    std::uint64_t generation = 0;
    std::optional<pci::Binding> original;
    bool lent_netdev = false;  // as Slot::lent_netdev
};

// What was found on a PF before it was touched.
struct StoredPf {
    std::string name;
    pci::Address address;  // of the hardware that the name meant
    bool created_vfs = false;
    // Somebody else's VFs were there, so many, and were removed since: absent when they were not.
    std::optional<unsigned> found_vfs;
    bool autoprobe = true;       // sriov_drivers_autoprobe before the VFs were created
    std::optional<bool> was_up;  // whether the netdev was up; absent here and below: not touched
    std::optional<std::uint32_t> mtu;  // of the netdev
    std::optional<nic::EswitchMode> eswitch_mode;
};

// Numbers of VFs that `resize` changed, and the number that the configuration had then: with
// another one there, the configuration counts again. An intent until it is settled.
struct StoredResize {
    std::string pf;
    unsigned from = 0;
    unsigned to = 0;
    unsigned configured = 0;
    bool again = false;  // `from` came from a resize, too
    bool settled = false;
};

class Store {
public:
    // Opens or creates `path` (":memory:" in tests). A database that is damaged or of another
    // schema is refused with what to do, never silently replaced: it holds promises.
    static Result<Store> open(const std::string& path);
    Store(Store&&) noexcept;
    Store& operator=(Store&&) noexcept;
    ~Store();

    Result<std::vector<Lease>> leases();
    Result<std::vector<StoredSlot>> slots();
    Result<std::vector<StoredPf>> pfs();
    Result<std::vector<DrainTarget>> drained();
    Result<std::vector<StoredResize>> resizes();
    // Highest lease id ever given, so that ids are never used twice.
    Result<LeaseId> last_lease_id();

    // A lease and the generations of its slots, in one transaction.
    Result<> put_lease(const Lease& lease);
    Result<> settle_lease(const Lease& lease);
    // Who owns it from now on.
    Result<> put_owner(const Lease& lease);
    Result<> remove_lease(LeaseId id);
    Result<> put_slot(const StoredSlot& slot);
    Result<> put_pf(const StoredPf& pf);
    Result<> remove_pf(const std::string& name);
    Result<> put_drained(const DrainTarget& target);
    Result<> remove_drained(const DrainTarget& target);
    Result<> put_resize(const StoredResize& resize);
    Result<> remove_resize(const std::string& pf);

    // The last configuration that was right; nullopt: none was, this boot.
    Result<std::optional<ConfigTexts>> configuration();
    Result<> put_configuration(const ConfigTexts& texts);

private:
    struct Impl;
    explicit Store(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace vfb::broker
