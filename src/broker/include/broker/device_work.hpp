// SPDX-License-Identifier: GPL-2.0-or-later
//
// What is done to devices between leases and for them: every call here may block on a device for as
// long as the kernel likes, so they run in the worker of the PF concerned, never in the daemon.
//
// Thread-safe: several functions of one PF are worked on at once; only the attribute writes of a PF
// are made one after the other (some PF drivers fail concurrent changes).
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/sys_root.hpp"
#include "base/undo.hpp"
#include "broker/limits.hpp"
#include "iommu/groups.hpp"
#include "nic/devlink.hpp"
#include "nic/host_use.hpp"
#include "nic/vf_attributes.hpp"
#include "pci/binding.hpp"
#include "pci/function.hpp"
#include "vfio/vfio.hpp"

namespace vfb::broker {

// Uses of the host that an operator set aside by naming them: their kinds (Use::kind, and `up` for
// an interface that is up) by function.
using Despite = std::map<pci::Address, std::set<std::string>>;

struct PreparePfRequest {
    pci::Address pf;
    unsigned vfs = 0;
    bool link_up = true;
    std::optional<std::uint32_t> mtu;  // absent here and below: as it is
    std::optional<nic::EswitchMode> eswitch_mode;
    std::vector<std::string> attributes;  // asked_attributes(): for the limits
};
// What prepare_pf() would change, as it is before.
struct FoundPf {
    std::vector<pci::Address> vfs;       // in order of index
    std::vector<pci::Binding> bindings;  // of each VF
    bool autoprobe = true;               // sriov_drivers_autoprobe
    std::optional<bool> up;              // its netdev; absent: no netdev, or not asked for
    std::optional<std::uint32_t> mtu;    // likewise
    std::optional<nic::EswitchMode> eswitch_mode;
    PfLimits limits;
};
struct PreparedPf {
    std::vector<pci::Address> vfs;       // that are there now, in order of index
    std::vector<pci::Binding> bindings;  // of each VF, before anything is done to it
    bool created = false;                // whether this call created them
    std::optional<PfLimits> limits;      // if it did: there are some that can be asked for now
};

// A PF is given back to the host as it was found.
struct GiveBackRequest {
    pci::Address pf;
    bool remove_vfs = false;           // they were created by us
    unsigned found_vfs = 0;            // with remove_vfs: so many were there at first
    bool autoprobe = true;             // sriov_drivers_autoprobe, set when VFs are removed
    bool set_down = false;             // its netdev was down
    std::optional<std::uint32_t> mtu;  // what it was; absent here and below: not touched
    std::optional<nic::EswitchMode> eswitch_mode;
    std::map<unsigned, pci::Binding> bindings;  // of VFs that stay, by index
};

struct ScrubRequest {
    pci::Address pf;
    pci::Address vf;
    unsigned index = 0;
    std::string driver = "auto";           // `auto`: the best VFIO driver for it
    nic::VfAttributes attributes;          // what it has when nothing else is asked for
    std::optional<vfio::Backend> backend;  // to reset it by; absent: what the kernel has
    bool reset_required = true;
    std::set<std::string> despite;         // Despite of this function
    std::optional<unsigned> msix_vectors;  // absent: as the driver has it
    bool reclaim = false;  // what uses it by its kernel driver is left of its last lease: it goes
};
struct ScrubReport {
    std::string driver;
    vfio::Support support;                 // seen on the bound function
    nic::VfAttributes attributes;          // read back
    std::vector<std::string> unsupported;  // attributes that this driver does not have
    vfio::DeviceInfo device;
};

struct ResizePfRequest {
    pci::Address pf;
    unsigned vfs = 0;
    Despite despite;
};

// A PF as a plan needs to know it.
struct Survey {
    PfLimits limits;
    std::optional<bool> up;                           // its netdev; absent: none
    std::optional<std::uint32_t> mtu;                 // of its netdev
    std::optional<nic::EswitchMode> eswitch_mode;     // absent: it has no switch
    std::vector<pci::Address> vfs;                    // in order of index
    std::vector<std::optional<std::string>> drivers;  // of each VF, in order of index
    std::vector<nic::VfAttributes> attributes;        // of each VF; empty: the PF is no NIC
    std::map<pci::Address, std::vector<Use>> in_use;  // uses and holders (kind `vfio`) of VFs
};

class DeviceWork {
public:
    explicit DeviceWork(const SysRoot& root) : root_(root) {}

    // Reads what prepare_pf() with that request would change, so that it can be recorded first.
    Result<FoundPf> read_pf(const PreparePfRequest& request) const;

    // Sets the PF's switch mode and MTU if asked to, brings its netdev up, and creates the VFs if
    // there are none. A PF that has another number of VFs is left as it is: the caller sees how
    // many there are. The switch is not touched while a VF is in use. When one step fails, the
    // others are undone.
    Result<PreparedPf> prepare_pf(const PreparePfRequest& request);

    // Replaces all VFs by `vfs` others. Code::busy, and nothing is done, when a process holds one
    // of them or the host uses one. When the new ones cannot be created, as many as before are.
    Result<> resize_pf(const ResizePfRequest& request);

    // Reads what the kernel has; who uses the VFs only if there are some, and not `wanted`: then
    // all of them would have to go. `attributes`: asked_attributes(), for the limits.
    Result<Survey> survey_pf(const pci::Address& pf, unsigned wanted,
                             const std::vector<std::string>& attributes) const;

    // What the PF can be asked for; touches nothing.
    Result<PfLimits> read_limits(const pci::Address& pf,
                                 const std::vector<std::string>& attributes) const;

    // Of all VFs, in order of index; empty when the PF is no NIC.
    Result<std::vector<nic::VfAttributes>> read_attributes(const pci::Address& pf) const;

    // Everything between one owner and the next: proves that the IOMMU isolates the VF, binds it to
    // its VFIO driver, anew if it has a cdev, and takes it exclusively (which together prove that
    // nobody holds it), resets it, checks that it answers, writes the default attributes and reads
    // them back. Does not come back while a descriptor of it is open that nobody can be seen to
    // have. Code::busy: somebody holds it, or the host uses it; Code::not_viable: the IOMMU cannot
    // isolate it; anything else: it could not be proven clean.
    Result<ScrubReport> scrub(const ScrubRequest& request);

    // Writes what is set and reads it back, of several VFs of one PF at once. Returns all
    // attributes as they are then, in the order of the requests, or the first error. Code::busy
    // when somebody on this host has the MAC address already.
    Result<std::vector<nic::VfAttributes>> set_attributes(
        const pci::Address& pf, const std::vector<nic::VfRequest>& requests);

    // Has the kernel choose a driver for the VF as for any device, and waits for the network
    // interface that this makes of it. Returns its name. The VF goes back to the driver that it
    // had when one of both cannot be had.
    Result<std::string> lend_netdev(const pci::Address& pf, const pci::Address& vf);

    // Gives the VF back to the host: restores the driver that was found.
    Result<> give_back_vf(const pci::Address& vf, const pci::Binding& original);

    // Undoes prepare_pf() and every binding. Code::busy, and nothing is done, when a process holds
    // one of the VFs or the host uses one. A netdev that somebody uses meanwhile (an address, a
    // bond, a bridge, a VLAN) stays up.
    Result<> give_back_pf(const GiveBackRequest& request);

    // What the host uses the function's network interfaces (nic/host_use.hpp) or block devices
    // (pci/storage_use.hpp) for, in all namespaces. `ssh_client`: where the session comes from of
    // whoever asks, if it is one.
    [[nodiscard]] Result<std::vector<Use>> host_uses(const pci::Function& function,
                                                     const std::string& ssh_client = {}) const;

    // The same for several, in their order; what all of them need is read once.
    [[nodiscard]] Result<std::vector<std::vector<Use>>> host_uses(
        const std::vector<const pci::Function*>& functions,
        const std::string& ssh_client = {}) const;

    // Whether `function` may be given to a guest; reads the bridges above it to explain.
    Result<iommu::Verdict> judge(const pci::Address& function);
    // The function itself, the members of its group and every bridge above them: what judging it
    // needs. Those that cannot be read are left out. `names` as of pci::Inventory.
    [[nodiscard]] iommu::Functions relatives(const pci::Function& function,
                                             bool names = true) const;

private:
    // Has the kernel choose a driver, also where it chooses none for new VFs.
    Result<> probe(const pci::Address& pf, const pci::Address& vf);
    // host_uses(), or that an interface is up.
    [[nodiscard]] Result<std::vector<std::vector<Use>>> uses_in_the_way(
        const std::vector<pci::Function>& functions) const;
    // The same with holders (kind `vfio`), of those that are in use. `drivers` in order of `vfs`.
    [[nodiscard]] Result<std::map<pci::Address, std::vector<Use>>> in_use(
        const std::vector<pci::Address>& vfs,
        const std::vector<std::optional<std::string>>& drivers) const;
    [[nodiscard]] Result<std::vector<pci::Function>> read_functions(
        const std::vector<pci::Address>& addresses) const;
    // Refuses a VF that the host uses by its kernel driver.
    Result<> refuse_in_use(const pci::Function& function,
                           const std::set<std::string>& despite = {}) const;
    static Result<> refuse_uses(const pci::Function& function, std::vector<Use> uses,
                                const std::set<std::string>& despite);
    Result<> refuse_not_viable(const pci::Function& function);
    // prepare_pf(), step by step; what each changed is added to `undo`.
    Result<> prepare_netdev(const PreparePfRequest& request, Undo& undo);
    Result<> prepare_switch(const PreparePfRequest& request, Undo& undo);
    Result<> prepare_vfs(const PreparePfRequest& request, PreparedPf& prepared, Undo& undo);
    // The kernel may be at it still, in the probe of its driver or creating VFs: waits for its
    // lock.
    void wait_until_unlocked(const pci::Address& pf) const;
    [[nodiscard]] Result<std::vector<pci::Binding>> bindings_of(
        const std::vector<pci::Address>& vfs) const;
    // Of its netdev; both absent: it is no NIC.
    struct NetdevState {
        std::optional<bool> up;
        std::optional<std::uint32_t> mtu;
    };
    [[nodiscard]] Result<NetdevState> read_netdev(const pci::Address& pf) const;
    // Both return what was before.
    Result<nic::EswitchMode> set_eswitch_mode(const pci::Address& pf, nic::EswitchMode mode);
    Result<std::uint32_t> set_mtu(const pci::Address& pf, std::uint32_t mtu);
    // Unbinds a VF that has a cdev: the kernel has done that when the last descriptor of it is
    // closed, also one that is in an unread message or registered with an io_uring, where nobody
    // can see it, and from where its last owner could bind it when it is the next one's. While
    // there is one, this does not come back. Code::busy names those who can be seen to have it.
    Result<> leave_old_descriptors(const pci::Address& vf, const std::string& driver);
    // Binds the VF to `report.driver` and resets it, with as many MSI-X vectors as are wanted.
    Result<> bind_and_reset(const ScrubRequest& request, ScrubReport& report);
    Result<> write_attributes(const ScrubRequest& request, int ifindex, ScrubReport& report);
    // In switchdev mode the MAC address is the VF's port's as well, where its driver has that.
    static Result<> write_port_mac(const pci::Address& pf, unsigned index,
                                   const nic::MacAddress& mac);
    // Code::busy when somebody but the VF has the MAC address; nullopt: nobody.
    Result<std::optional<Error>> mac_conflict(int ifindex, unsigned index,
                                              const nic::MacAddress& mac) const;
    // Refuses if a process has one of the VFs open, or the host uses one.
    Result<> refuse_held(const std::vector<pci::Address>& vfs, const std::string& operation,
                         const Despite& despite = {}) const;
    Result<> recreate_vfs(const GiveBackRequest& request);
    Result<> set_down_unused(const pci::Address& pf);
    Result<> give_back_vf(const pci::Address& pf, const std::vector<pci::Address>& vfs,
                          unsigned index, const pci::Binding& binding);
    // 0: the PF is no NIC.
    Result<int> pf_ifindex(const pci::Address& pf) const;

    const SysRoot& root_;
    std::mutex nic_mutex_;
    std::mutex probe_mutex_;  // of sriov_drivers_autoprobe
};

}  // namespace vfb::broker
