// SPDX-License-Identifier: GPL-2.0-or-later
#include "pci/inventory.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <iterator>
#include <set>
#include <span>
#include <system_error>
#include <thread>
#include <utility>

#include "function_reader.hpp"
#include "names.hpp"
#include "sysfs.hpp"

namespace vfb::pci {
namespace {

using Slots = std::vector<std::pair<Address, std::string>>;  // sorted; function is always 0

Address without_function(Address address) {
    address.function = 0;
    return address;
}

// bus/pci/slots/NAME/address is `0000:01:00`; placeholders without a device (`0000:01`) hold
// nothing.
Slots read_slots(const Dir& bus) {
    Slots slots;
    const auto names = bus.list("slots");
    if (!names) return slots;  // a platform without slots
    for (const std::string& name : *names) {
        const auto text = bus.read("slots/" + name + "/address");
        if (!text) continue;
        if (const auto address = Address::parse(*text + ".0")) slots.emplace_back(*address, name);
    }
    std::ranges::sort(slots);
    return slots;
}

std::string slot_of(const Slots& slots, const Address& address) {
    const auto wanted = without_function(address);
    const auto at = std::ranges::lower_bound(slots, wanted, {}, &Slots::value_type::first);
    return at != slots.end() && at->first == wanted ? at->second : std::string();
}

// What the PFs' links say: which VF is N of which PF. Sorted.
struct VfLink {
    Address vf;
    Address pf;
    std::uint16_t index = 0;
    auto operator<=>(const VfLink&) const = default;
};

void add_links(std::vector<VfLink>& links, const Address& pf,
               const std::vector<VirtualFunction>& vfs) {
    for (const VirtualFunction& vf : vfs)
        links.push_back({.vf = vf.address, .pf = pf, .index = vf.index});
}

std::optional<std::uint16_t> find_index(const std::vector<VfLink>& links, const Function& vf) {
    const auto at = std::ranges::lower_bound(links, VfLink{.vf = vf.address, .pf = *vf.physfn});
    if (at == links.end() || at->vf != vf.address || at->pf != *vf.physfn) return std::nullopt;
    return at->index;
}

struct Outcome {
    std::optional<Reading> reading;
    std::vector<ReadProblem> problems;
};

constexpr std::size_t kAtOnce = 64;  // functions that a thread takes
constexpr std::size_t kWorthAThread = 256;
constexpr unsigned kMostThreads = 4;

// Reading is waiting: for the kernel's locks, and for devices that answer a register in a
// microsecond. A large machine is read by a few threads at once.
std::vector<Outcome> read_each(const Dir& devices, std::span<const Address> addresses,
                               FunctionReader& first, Names* names, bool host) {
    std::vector<Outcome> outcomes(addresses.size());
    std::atomic<std::size_t> next = 0;
    const auto work = [&](FunctionReader& reader) {
        for (;;) {
            const auto begin = next.fetch_add(kAtOnce);
            if (begin >= addresses.size()) return;
            const auto end = std::min(begin + kAtOnce, addresses.size());
            for (auto i = begin; i < end; ++i)
                outcomes[i].reading = reader.read(devices, addresses[i], outcomes[i].problems);
        }
    };
    std::vector<std::jthread> helpers;
    const auto threads = std::min({addresses.size() / kWorthAThread,
                                   static_cast<std::size_t>(std::thread::hardware_concurrency()),
                                   static_cast<std::size_t>(kMostThreads)});
    try {
        for (std::size_t i = 1; i < threads; ++i)
            helpers.emplace_back([&work, host] {
                FunctionReader reader(host);
                work(reader);
            });
    } catch (const std::system_error&) {
        // No more threads to be had; those that run, and this one, do it.
    }
    if (names != nullptr) names->load();  // no device is waited for: meanwhile the others begin
    work(first);
    helpers.clear();  // joins
    return outcomes;
}

}  // namespace

struct Inventory::Impl {
    Impl(const SysRoot& sys_root, bool with_names) : root(sys_root), reader(sys_root.is_host()) {
        if (with_names) names.emplace();
    }

    Result<Dir> open_bus() const;
    void set_names(Function& function, std::vector<ReadProblem>& problems);
    void set_indexes(const Dir& devices, std::vector<Function>& functions,
                     std::vector<VfLink> links, std::vector<ReadProblem>& problems);
    bool is_settled(const Dir& devices, const Function& vf, std::vector<ReadProblem>& problems);

    const SysRoot& root;
    FunctionReader reader;
    std::optional<Names> names;
};

Result<Dir> Inventory::Impl::open_bus() const {
    auto bus = root.sys().open_dir("bus/pci");
    if (!bus && bus.error().errnum == ENOENT)
        return fail(Code::unsupported, "list PCI functions", root.sys().path("bus/pci"),
                    "the kernel knows no PCI bus");
    return bus;
}

void Inventory::Impl::set_names(Function& function, std::vector<ReadProblem>& problems) {
    if (!names) return;
    function.vendor_name = names->vendor(function.vendor);
    function.device_name = names->device(function.vendor, function.device);
    function.class_name = names->class_name(function.class_code);
    if (auto error = names->take_error()) problems.push_back({function.address, std::move(*error)});
}

// Called for a VF without an index: its PF has no link to it. The kernel makes that link first and
// removes it first, so the VF is about to go, unless the tree is broken. False: it is gone.
bool Inventory::Impl::is_settled(const Dir& devices, const Function& vf,
                                 std::vector<ReadProblem>& problems) {
    std::vector<ReadProblem> known;
    if (!reader.read(devices, vf.address, known)) return false;
    problems.push_back({vf.address, fail(Code::failed, "tell which VF of its PF this is",
                                         vf.address.str(), vf.physfn->str() + " has no link to it")
                                        .error()});
    return true;
}

// PFs that do not know all of their VFs were read before those were created, and are read again.
void Inventory::Impl::set_indexes(const Dir& devices, std::vector<Function>& functions,
                                  std::vector<VfLink> links, std::vector<ReadProblem>& problems) {
    std::ranges::sort(links);
    std::set<Address> outdated;
    for (Function& vf : functions) {
        if (!vf.physfn) continue;
        vf.vf_index = find_index(links, vf);
        if (!vf.vf_index) outdated.insert(*vf.physfn);
    }
    if (outdated.empty()) return;
    for (Function& pf : functions) {
        if (!outdated.contains(pf.address)) continue;
        auto again = reader.read(devices, pf.address, problems);
        if (!again) continue;
        add_links(links, pf.address, again->vfs);
        pf = std::move(again->function);
    }
    std::ranges::sort(links);
    std::erase_if(functions, [&](Function& vf) {
        if (!vf.physfn || vf.vf_index) return false;
        vf.vf_index = find_index(links, vf);
        return !vf.vf_index && !is_settled(devices, vf, problems);
    });
}

Inventory::Inventory(const SysRoot& root, bool names)
    : impl_(std::make_unique<Impl>(root, names)) {}

Inventory::~Inventory() = default;

Result<std::vector<Function>> Inventory::read_all(std::vector<ReadProblem>* problems) {
    VFB_TRY(const auto bus, impl_->open_bus());
    VFB_TRY(const auto devices, bus.open_dir("devices"));
    VFB_TRY(const auto entries, devices.list());
    std::vector<Address> addresses;
    addresses.reserve(entries.size());
    for (const std::string& entry : entries)
        if (const auto address = Address::parse(entry)) addresses.push_back(*address);
    std::ranges::sort(addresses);  // domains of five digits are not in order as texts

    std::vector<ReadProblem> found;
    std::vector<VfLink> links;
    std::vector<Function> functions;
    functions.reserve(addresses.size());
    for (Outcome& outcome :
         read_each(devices, addresses, impl_->reader, impl_->names ? &*impl_->names : nullptr,
                   impl_->root.is_host())) {
        std::ranges::move(outcome.problems, std::back_inserter(found));
        if (!outcome.reading) continue;
        add_links(links, outcome.reading->function.address, outcome.reading->vfs);
        functions.push_back(std::move(outcome.reading->function));
    }
    impl_->set_indexes(devices, functions, std::move(links), found);
    const auto slots = read_slots(bus);
    for (Function& function : functions) {
        function.slot = slot_of(slots, function.address);
        impl_->set_names(function, found);
    }
    if (problems) std::ranges::move(found, std::back_inserter(*problems));
    return functions;
}

Result<Function> Inventory::read(const Address& address, std::vector<ReadProblem>* problems) {
    VFB_TRY(const auto bus, impl_->open_bus());
    VFB_TRY(const auto devices, bus.open_dir("devices"));
    const auto operation = "read " + address.str();
    std::vector<ReadProblem> found;
    auto reading = impl_->reader.read(devices, address, found);
    if (!reading && !found.empty()) return std::unexpected(std::move(found.front().error));
    if (!reading)
        return fail(Code::not_found, operation, address.str(), "there is no such function",
                    "lspci -D lists the functions");
    std::vector<Function> functions;
    functions.push_back(std::move(reading->function));
    std::vector<VfLink> links;
    if (const auto& pf = functions.front().physfn)
        if (const auto folder = devices.open_dir(pf->str())) {
            if (const auto index = index_of_vf(*folder, *pf, address))
                links.push_back({.vf = address, .pf = *pf, .index = *index});
            else if (const auto vfs = read_virtual_functions(*folder))
                add_links(links, *pf, *vfs);
        }
    impl_->set_indexes(devices, functions, std::move(links), found);
    if (functions.empty())
        return fail(Code::not_found, operation, address.str(), "it was just removed");
    Function& function = functions.front();
    function.slot = slot_of(read_slots(bus), address);
    impl_->set_names(function, found);
    if (problems) std::ranges::move(found, std::back_inserter(*problems));
    return std::move(function);
}

}  // namespace vfb::pci
