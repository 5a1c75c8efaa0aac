// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/qemu.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "json_member.hpp"

namespace vfb::vmm {
namespace {

using namespace std::chrono_literals;
using proto::Json;

constexpr auto kGreetingTimeout = 10s;
// device_add pins all of the guest's memory.
constexpr auto kCommandTimeout = 120s;
constexpr const char* kPeripheral = "/machine/peripheral";

std::string text(const Json& object, const char* name) {
    if (!object.is_object()) return {};
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::int64_t number(const Json& object, const char* name) {
    if (!object.is_object()) return -1;
    const auto found = object.find(name);
    return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>() : -1;
}

// Names of descriptors that the monitor keeps until something takes them.
std::string context_name(std::int64_t lease) {
    return fmt::format("vfbroker{}", lease);
}

// QEMU's root ports and downstream ports of switches, by vendor and device.
bool is_port(const Json& device) {
    const auto vendor = number(member(device, "id"), "vendor");
    const auto id = number(member(device, "id"), "device");
    return (vendor == 0x1b36 && id == 0x000c) || (vendor == 0x8086 && id == 0x3420) ||
           (vendor == 0x104c && id == 0x8233);
}

void collect_free_ports(const Json& devices, std::vector<std::string>& found) {
    for (const Json& device : devices) {
        const Json& below = member(member(device, "pci_bridge"), "devices");
        if (!below.empty())
            collect_free_ports(below, found);
        else if (is_port(device) && !text(device, "qdev_id").empty())
            found.push_back(text(device, "qdev_id"));
    }
}

// QEMU takes options by JSON type: text for a number is refused.
Json typed(const std::string& type, const std::string& value) {
    if (type == "bool" && (value == "on" || value == "off")) return value == "on";
    std::int64_t whole = 0;
    const char* const end = value.data() + value.size();
    const bool is_number = type.starts_with("int") || type.starts_with("uint") || type == "size";
    const auto [stop, error] = std::from_chars(value.data(), end, whole);
    if (is_number && error == std::errc() && stop == end) return whole;
    return value;
}

}  // namespace

std::string device_id(std::int64_t lease, std::size_t index) {
    return fmt::format("vfbroker{}-{}", lease, index);
}

Result<std::unique_ptr<Vmm>> Qemu::connect(const std::string& path) {
    VFB_TRY(auto monitor, Monitor::connect(path, kGreetingTimeout));
    return std::make_unique<Qemu>(std::move(monitor));
}

Result<Json> Qemu::execute(const std::string& command, const Json& arguments) {
    return monitor_.execute(command, arguments, kCommandTimeout);
}

Result<std::vector<std::pair<std::string, std::string>>> Qemu::children(const std::string& path) {
    VFB_TRY(const auto list, execute("qom-list", {{"path", path}}));
    std::vector<std::pair<std::string, std::string>> found;
    for (const Json& entry : list) {
        const std::string type = text(entry, "type");
        constexpr std::string_view kChild = "child<";
        if (type.starts_with(kChild) && type.ends_with('>'))
            found.emplace_back(text(entry, "name"),
                               type.substr(kChild.size(), type.size() - kChild.size() - 1));
    }
    return found;
}

// Without an IOMMU in the guest all devices share one mapping of its memory.
Result<std::uint64_t> Qemu::pinned_memory(std::size_t more) {
    VFB_TRY(const auto summary, execute("query-memory-size-summary", Json::object()));
    const auto memory = std::max<std::int64_t>(number(summary, "base-memory"), 0) +
                        std::max<std::int64_t>(number(summary, "plugged-memory"), 0);
    std::size_t devices = more;
    bool guest_iommu = false;
    for (const char* path : {kPeripheral, "/machine/peripheral-anon"}) {
        VFB_TRY(const auto entries, children(path));
        for (const auto& [name, type] : entries) {
            devices += type.starts_with("vfio-pci") ? 1U : 0U;
            guest_iommu |= type.ends_with("-iommu") || type.starts_with("virtio-iommu");
        }
    }
    return static_cast<std::uint64_t>(memory) * (guest_iommu ? devices : 1);
}

Result<std::string> Qemu::find_or_add_iommufd(const client::Lease& lease) {
    VFB_TRY(const auto objects, children("/objects"));
    for (const auto& [name, type] : objects)
        if (type == "iommufd") return name;
    const std::string fd = context_name(lease.id);
    VFB_CHECK(monitor_.execute("getfd", {{"fdname", fd}}, kCommandTimeout, lease.context.get()));
    VFB_CHECK(execute("object-add", {{"qom-type", "iommufd"}, {"id", kIommufdId}, {"fd", fd}}));
    return kIommufdId;
}

Result<Json> Qemu::typed_options(const std::vector<std::string>& options) {
    Json result = Json::object();
    if (options.empty()) return result;
    VFB_TRY(const auto properties, execute("device-list-properties", {{"typename", "vfio-pci"}}));
    std::map<std::string, std::string> types;
    for (const Json& property : properties)
        types.emplace(text(property, "name"), text(property, "type"));
    for (const auto& option : options) {
        const auto equals = option.find('=');
        const std::string key = option.substr(0, equals);
        const auto found = types.find(key);
        result[key] =
            typed(found == types.end() ? "str" : found->second, option.substr(equals + 1));
    }
    return result;
}

Result<bool> Qemu::allows_hot_plug(const std::string& port) {
    VFB_TRY(const auto value, execute("qom-get", {{"path", fmt::format("{}/{}", kPeripheral, port)},
                                                  {"property", "hotplug"}}));
    return value.is_boolean() && value.get<bool>();
}

Result<std::vector<std::string>> Qemu::free_ports() {
    VFB_TRY(const auto buses, execute("query-pci", Json::object()));
    std::vector<std::string> empty;
    for (const Json& bus : buses) collect_free_ports(member(bus, "devices"), empty);
    std::vector<std::string> usable;
    for (const auto& port : empty) {
        const auto allowed = allows_hot_plug(port);
        // An older QEMU's ports have no such property, and allow it.
        if (!allowed && allowed.error().code != Code::failed)
            return std::unexpected(allowed.error());
        if (!allowed || *allowed) usable.push_back(port);
    }
    return usable;
}

Result<> Qemu::plug(const client::Lease& lease, const std::vector<std::string>& options) {
    VFB_TRY(const auto common, typed_options(options));
    std::vector<std::string> ports;
    if (!common.contains("bus")) {
        VFB_TRY(ports, free_ports());
    }
    std::string iommufd;
    if (lease.context) {
        VFB_TRY(iommufd, find_or_add_iommufd(lease));
    }
    for (std::size_t i = 0; i < lease.functions.size(); ++i) {
        const auto& function = lease.functions[i];
        const std::string id = device_id(lease.id, i);
        Json device = {{"driver", "vfio-pci"}, {"id", id}};
        if (lease.context) {
            VFB_CHECK(monitor_.execute("getfd", {{"fdname", id}}, kCommandTimeout,
                                       function.descriptor.get()));
            device["iommufd"] = iommufd;
            device["fd"] = id;
        } else {
            device["host"] = function.address;
        }
        // On another kind of machine QEMU finds the place by itself, or says why not.
        if (i < ports.size()) device["bus"] = ports[i];
        device.update(common);
        auto added = execute("device_add", device);
        if (added) continue;
        Error error = std::move(added).error();
        error.operation = fmt::format("plug {} into the guest", function.address);
        error.subject = function.address;
        if (error.hint.empty() && !device.contains("bus"))
            error.hint =
                "no free PCIe root port was found: start QEMU with -device "
                "pcie-root-port,id=NAME,chassis=N for each device to come, or name a bus "
                "with --device-option bus=NAME";
        else if (error.hint.empty())
            error.hint = "QEMU's own output and `dmesg` may say more";
        return std::unexpected(std::move(error));
    }
    return {};
}

Result<bool> Qemu::has(const Plugged& plugged) {
    VFB_TRY(const auto devices, children(kPeripheral));
    for (std::size_t i = 0; i < plugged.count; ++i)
        if (std::ranges::none_of(devices, [id = device_id(plugged.lease, i)](const auto& device) {
                return device.first == id;
            }))
            return false;
    return true;
}

Result<> Qemu::unplug(const Plugged& plugged, std::chrono::milliseconds timeout) {
    std::vector<std::string> leaving;
    for (std::size_t i = 0; i < plugged.count; ++i) {
        const std::string id = device_id(plugged.lease, i);
        auto asked = execute("device_del", {{"id", id}});
        if (!asked && asked.error().code == Code::not_found) continue;  // it is gone already
        if (!asked) {
            Error error = std::move(asked).error();
            error.hint = "the device and its lease stay; try again later";
            return std::unexpected(std::move(error));
        }
        leaving.push_back(id);
    }
    VFB_CHECK(wait_until_deleted(std::move(leaving), timeout));
    // What half of a plug() left. QEMU refuses each where there is nothing of the name, and the
    // object while another device uses it: that is as it should be.
    std::vector<std::pair<std::string, Json>> rest{
        {"object-del", {{"id", kIommufdId}}},
        {"closefd", {{"fdname", context_name(plugged.lease)}}}};
    for (std::size_t i = 0; i < plugged.count; ++i)
        rest.emplace_back("closefd", Json{{"fdname", device_id(plugged.lease, i)}});
    for (const auto& [command, arguments] : rest) {
        auto done = execute(command, arguments);
        if (!done && done.error().code != Code::failed)
            return std::unexpected(std::move(done).error());
    }
    return {};
}

Result<> Qemu::wait_until_deleted(std::vector<std::string> ids, std::chrono::milliseconds timeout) {
    const Deadline deadline(timeout);
    while (!ids.empty()) {
        auto event = monitor_.wait_for_event(
            [&](const Json& one) {
                const std::string name = text(one, "event");
                return (name == "DEVICE_DELETED" || name == "DEVICE_UNPLUG_GUEST_ERROR") &&
                       std::ranges::find(ids, text(member(one, "data"), "device")) != ids.end();
            },
            deadline);
        const std::string operation = fmt::format("unplug {} from the guest", ids.front());
        if (!event && event.error().code == Code::timeout)
            return fail(Code::timeout, operation, ids.front(),
                        fmt::format("the guest has not let go of it within {} s", timeout / 1s),
                        "is the guest up, with a driver for PCI hot plug (acpiphp or pciehp)? The "
                        "device and its lease stay; try again later");
        if (!event) return std::unexpected(std::move(event).error());
        if (text(*event, "event") == "DEVICE_UNPLUG_GUEST_ERROR")
            return fail(Code::busy, operation, ids.front(), "the guest refuses to let go of it",
                        "see what uses it in the guest; the device and its lease stay");
        std::erase(ids, text(member(*event, "data"), "device"));
    }
    return {};
}

}  // namespace vfb::vmm
