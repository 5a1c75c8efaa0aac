// SPDX-License-Identifier: GPL-2.0-or-later
#include "tree/host.hpp"

#include <fmt/format.h>
#include <linux/pci_regs.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <random>

#include "groups.hpp"
#include "models.hpp"

namespace vfb::tree {
namespace {

constexpr std::uint16_t kAcs = PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF;
// VMD's domains have five digits.
constexpr std::uint32_t kDomains[] = {0, 1, 0x10000, 2, 0x10001, 3, 4, 5, 6, 7};

class Planner {
public:
    explicit Planner(const HostOptions& options) : options_(options), random_(options.seed) {}

    std::vector<FunctionSpec> plan();

private:
    struct Bridge {
        pci::Address address;
        std::uint8_t secondary = 0;
    };

    [[nodiscard]] bool full() const { return specs_.size() >= options_.functions; }
    std::uint64_t pick(std::uint64_t count) { return random_() % count; }

    void open_domain();
    // A free device of the root bus with `buses` bus numbers behind it.
    pci::Address take_root_device(unsigned buses);

    FunctionSpec make(const Model& model, const pci::Address& address,
                      const std::optional<pci::Address>& parent, std::optional<unsigned> type);
    Bridge add_bridge(const Model& model, const pci::Address& address,
                      const std::optional<pci::Address>& parent, unsigned type, unsigned buses,
                      bool acs);
    void add(FunctionSpec spec);
    void add_netdev(pci::Function& function);
    pci::Bar place(std::uint8_t index, std::uint64_t size, std::uint64_t count = 1);

    void add_card(const CardModel& model, unsigned number);
    void add_vf(const CardModel& model, const pci::Function& pf, std::uint16_t index);
    void add_endpoint(const Bridge& port);
    void add_switch();
    void add_conventional();
    void add_integrated();

    HostOptions options_;
    std::mt19937_64 random_;
    GroupNumbers groups_;
    std::vector<FunctionSpec> specs_;
    std::map<pci::Address, std::string> slots_;  // by function 0
    unsigned domain_ = 0;                        // index into kDomains
    unsigned next_device_ = 32;                  // of the root bus
    unsigned next_bus_ = 256;
    unsigned netdevs_ = 0;
    std::uint64_t next_memory_ = 0x380000000000;
};

void Planner::open_domain() {
    if (next_bus_ != 256 || next_device_ != 32 || !specs_.empty()) ++domain_;
    next_device_ = 1;
    next_bus_ = 1;
    add(make(kHostBridge, {.domain = kDomains[domain_]}, std::nullopt, std::nullopt));
}

pci::Address Planner::take_root_device(unsigned buses) {
    if (next_device_ > 31 || next_bus_ + buses > 256) open_domain();
    return {.domain = kDomains[domain_], .device = static_cast<std::uint8_t>(next_device_++)};
}

// 64-bit memory, aligned to its size; `count` of them in a row.
pci::Bar Planner::place(std::uint8_t index, std::uint64_t size, std::uint64_t count) {
    next_memory_ = (next_memory_ + size - 1) / size * size;
    const pci::Bar bar{.address = next_memory_,
                       .size = size,
                       .index = index,
                       .io = false,
                       .prefetchable = index == 0,
                       .is_64bit = true};
    next_memory_ += size * count;
    return bar;
}

FunctionSpec Planner::make(const Model& model, const pci::Address& address,
                           const std::optional<pci::Address>& parent,
                           std::optional<unsigned> type) {
    FunctionSpec spec;
    pci::Function& f = spec.function;
    f.address = address;
    f.parent = parent;
    f.vendor = model.vendor;
    f.device = model.device;
    f.subsystem_vendor = model.vendor;
    f.subsystem_device = static_cast<std::uint16_t>(pick(0x10000));
    f.class_code = model.class_code;
    f.revision = static_cast<std::uint8_t>(pick(4));
    if (!model.driver.empty()) f.driver = model.driver;
    if (type) f.pcie_type = static_cast<std::uint8_t>(*type);
    if (domain_ < 2) f.numa_node = static_cast<int>(domain_);
    if (model.bar_size != 0) f.bars = {place(0, model.bar_size)};
    return spec;
}

Planner::Bridge Planner::add_bridge(const Model& model, const pci::Address& address,
                                    const std::optional<pci::Address>& parent, unsigned type,
                                    unsigned buses, bool acs) {
    auto spec = make(model, address, parent, type);
    spec.function.header_type = 1;
    spec.function.reset_method = "pm bus";
    spec.secondary = static_cast<std::uint8_t>(next_bus_);
    spec.subordinate = static_cast<std::uint8_t>(next_bus_ + buses - 1);
    spec.ari = true;
    if (acs) spec.acs = kAcs;
    const Bridge bridge{.address = address, .secondary = spec.secondary};
    add(std::move(spec));
    return bridge;
}

void Planner::add(FunctionSpec spec) {
    spec.function.group = groups_.assign(spec);
    specs_.push_back(std::move(spec));
}

void Planner::add_netdev(pci::Function& function) {
    const auto number = netdevs_++;
    const auto mac = fmt::format("52:54:00:{:02x}:{:02x}:{:02x}", number >> 16,
                                 (number >> 8) & 0xff, number & 0xff);
    function.netdevs.push_back({.name = fmt::format("eth{}", number),
                                .ifindex = static_cast<int>(number) + 2,
                                .mac = mac,
                                .permanent_mac = function.is_vf() ? "" : mac,
                                .up = pick(2) == 0});
}

void Planner::add_vf(const CardModel& model, const pci::Function& pf, std::uint16_t index) {
    const unsigned routing = pf.address.bus * 256U + *pf.sriov->offset + *pf.sriov->stride * index;
    auto spec = make({model.pf.vendor, model.vf_device, model.pf.class_code, "", 0},
                     {.domain = pf.address.domain,
                      .bus = static_cast<std::uint8_t>(routing >> 8),
                      .device = static_cast<std::uint8_t>((routing >> 3) & 31),
                      .function = static_cast<std::uint8_t>(routing & 7)},
                     pf.parent, PCI_EXP_TYPE_ENDPOINT);
    pci::Function& f = spec.function;
    f.subsystem_device = pf.subsystem_device;
    f.revision = pf.revision;
    f.reset_method = "flr";
    f.physfn = pf.address;
    f.vf_index = index;
    for (pci::Bar bar : pf.sriov->vf_bars) {
        bar.address += bar.size * index;
        f.bars.push_back(bar);
    }
    const auto kind = pick(4);
    if (kind < 2) {
        f.driver = spec.driver_override = "vfio-pci";
    } else if (kind == 2) {
        f.driver = model.vf_driver;
        if (f.class_code == kEthernet) add_netdev(f);
    }
    spec.ari = true;
    add(std::move(spec));
}

void Planner::add_card(const CardModel& model, unsigned number) {
    const unsigned last = model.offset + model.stride * (options_.vfs - 1U);
    const unsigned buses = last / 256 + 1;
    const bool behind_switch = number % 2 == 1;
    const unsigned above = behind_switch ? 3 : 1;
    auto port = add_bridge(kRootPort, take_root_device(buses + above), std::nullopt,
                           PCI_EXP_TYPE_ROOT_PORT, buses + above - 1, true);
    ++next_bus_;
    if (behind_switch) {
        const bool acs = number % 4 == 1;
        for (const unsigned type :
             {unsigned{PCI_EXP_TYPE_UPSTREAM}, unsigned{PCI_EXP_TYPE_DOWNSTREAM}}) {
            const pci::Address address{.domain = port.address.domain, .bus = port.secondary};
            port = add_bridge(kSwitchPort, address, port.address, type, buses,
                              acs && type == PCI_EXP_TYPE_DOWNSTREAM);
            ++next_bus_;
        }
    }
    auto spec = make(model.pf, {.domain = port.address.domain, .bus = port.secondary}, port.address,
                     PCI_EXP_TYPE_ENDPOINT);
    next_bus_ += buses - 1;
    pci::Function& f = spec.function;
    f.reset_method = "flr bus";
    if (f.class_code == kEthernet) add_netdev(f);
    spec.ari = true;
    spec.total_vfs = static_cast<std::uint16_t>(options_.vfs + model.reserved_vfs);
    pci::SrIov& sriov = f.sriov.emplace();
    sriov.total = sriov.enabled = static_cast<std::uint16_t>(options_.vfs);
    sriov.initial = spec.total_vfs;
    sriov.offset = model.offset;
    sriov.stride = model.stride;
    sriov.vf_device = model.vf_device;
    sriov.ari = true;
    sriov.vf_bars = {place(0, model.vf_bar_size, spec.total_vfs), place(3, 0x4000, spec.total_vfs)};
    slots_[f.address] = fmt::format("{}", 100 + number);
    const auto at = specs_.size();
    add(std::move(spec));
    for (unsigned index = 0; index < options_.vfs; ++index) {
        const auto pf = specs_[at].function;
        add_vf(model, pf, static_cast<std::uint16_t>(index));
        specs_[at].function.sriov->vfs.push_back(specs_.back().function.address);
    }
}

// One device of one to eight functions.
void Planner::add_endpoint(const Bridge& port) {
    const auto& model = kEndpoints[pick(std::size(kEndpoints))];
    const unsigned functions = 1U << pick(4);
    const bool acs = pick(2) == 0;
    for (unsigned number = 0; number < functions && !full(); ++number) {
        auto spec = make(model,
                         {.domain = port.address.domain,
                          .bus = port.secondary,
                          .function = static_cast<std::uint8_t>(number)},
                         port.address, PCI_EXP_TYPE_ENDPOINT);
        pci::Function& f = spec.function;
        f.multifunction = functions > 1;
        if (acs) spec.acs = kAcs;
        if (pick(3) != 0) f.reset_method = "flr bus";
        if (pick(4) == 0) f.bars.push_back(place(2, 0x1000));
        if (pick(8) == 0) f.driver.reset();
        if (f.class_code == kEthernet && f.driver && *f.driver != "virtio-pci") add_netdev(f);
        if (pick(4) == 0)
            slots_[pci::Address{f.address.domain, f.address.bus}] =
                fmt::format("{}-{}", domain_, port.secondary);
        add(std::move(spec));
    }
}

void Planner::add_switch() {
    constexpr unsigned kPorts = 8;
    const bool acs = pick(3) != 0;
    const auto root = add_bridge(kRootPort, take_root_device(kPorts + 2), std::nullopt,
                                 PCI_EXP_TYPE_ROOT_PORT, kPorts + 2, pick(8) != 0);
    ++next_bus_;
    if (full()) return;
    const auto upstream =
        add_bridge(kSwitchPort, {.domain = root.address.domain, .bus = root.secondary},
                   root.address, PCI_EXP_TYPE_UPSTREAM, kPorts + 1, false);
    ++next_bus_;
    for (unsigned number = 0; number < kPorts && !full(); ++number) {
        const auto port = add_bridge(kSwitchPort,
                                     {.domain = upstream.address.domain,
                                      .bus = upstream.secondary,
                                      .device = static_cast<std::uint8_t>(number)},
                                     upstream.address, PCI_EXP_TYPE_DOWNSTREAM, 1, acs);
        ++next_bus_;
        if (!full()) add_endpoint(port);
    }
}

// Conventional PCI devices behind a bridge: one group, whatever they are.
void Planner::add_conventional() {
    const auto root =
        add_bridge(kRootPort, take_root_device(2), std::nullopt, PCI_EXP_TYPE_ROOT_PORT, 2, true);
    ++next_bus_;
    if (full()) return;
    const auto bridge =
        add_bridge(kPciBridge, {.domain = root.address.domain, .bus = root.secondary}, root.address,
                   PCI_EXP_TYPE_PCI_BRIDGE, 1, false);
    ++next_bus_;
    for (std::uint8_t device = 0; device < 4 && !full(); ++device) {
        auto spec =
            make(kConventional,
                 {.domain = bridge.address.domain, .bus = bridge.secondary, .device = device},
                 bridge.address, std::nullopt);
        spec.function.bars.front().is_64bit = false;
        spec.function.bars.front().prefetchable = false;
        spec.function.bars.front().address = 0x90000000U + device * 0x20000U;
        spec.function.bars.push_back({.address = 0x3000U + device * 0x40U,
                                      .size = 0x40,
                                      .index = 1,
                                      .io = true,
                                      .prefetchable = false,
                                      .is_64bit = false});
        add_netdev(spec.function);
        add(std::move(spec));
    }
}

// Devices of the root complex itself, eight functions each.
void Planner::add_integrated() {
    auto address = take_root_device(0);
    for (address.function = 0; address.function < 8 && !full(); ++address.function) {
        auto spec = make(kEndpoints[3], address, std::nullopt, PCI_EXP_TYPE_RC_END);
        spec.function.multifunction = true;
        add(std::move(spec));
    }
}

std::vector<FunctionSpec> Planner::plan() {
    for (unsigned number = 0; number < options_.pfs; ++number)
        add_card(kCards[number % std::size(kCards)], number);
    while (!full()) {
        const auto kind = pick(8);
        if (kind == 0)
            add_conventional();
        else if (kind == 1)
            add_integrated();
        else
            add_switch();
    }
    for (FunctionSpec& spec : specs_) {
        auto device = spec.function.address;
        device.function = 0;
        if (const auto slot = slots_.find(device); slot != slots_.end())
            spec.function.slot = slot->second;
    }
    return std::move(specs_);
}

}  // namespace

std::vector<FunctionSpec> plan_host(const HostOptions& options) {
    return Planner(options).plan();
}

Result<std::vector<pci::Function>> write_host(const std::string& path, const HostOptions& options) {
    VFB_TRY(auto tree, Tree::create(path));
    std::vector<pci::Function> functions;
    for (FunctionSpec& spec : plan_host(options)) {
        VFB_CHECK(tree.add(spec));
        functions.push_back(std::move(spec.function));
    }
    std::ranges::sort(functions, {}, &pci::Function::address);
    return functions;
}

}  // namespace vfb::tree
