// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/cloud_hypervisor.hpp"

#include <fmt/format.h>

#include <charconv>

#include "base/sys_root.hpp"
#include "json_member.hpp"
#include "peer.hpp"
#include "proto/connection.hpp"

namespace vfb::vmm {
namespace {

using namespace std::chrono_literals;
using proto::Json;

// vm.add-device pins all of the guest's memory.
constexpr auto kTimeout = 120s;
constexpr std::size_t kMostBytes = 16 << 20;

std::uint64_t size(const Json& object, const char* name) {
    const Json& value = member(object, name);
    return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
}

// Decimal; absent unless all of it is one.
std::optional<std::size_t> whole(std::string_view text) {
    std::size_t number = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
    return number;
}

// Of `Content-Length` in a response's head, whatever its case; 0 without.
std::optional<std::size_t> length_of(std::string_view head) {
    constexpr std::string_view kName = "\r\ncontent-length:";
    std::string lower(head);
    for (char& byte : lower)
        if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte | 0x20);
    const auto at = lower.find(kName);
    if (at == std::string::npos) return 0;
    auto value = head.substr(at + kName.size());
    value = value.substr(0, value.find("\r\n"));
    while (value.starts_with(' ')) value.remove_prefix(1);
    return whole(value);
}

// `path=…` of a --device has the same form.
std::string sysfs_path(const std::string& address) {
    constexpr std::string_view kDevices = " /sys/bus/pci/devices/";
    return fmt::format("{}{}/", kDevices.substr(1), address);
}

// true, false and numbers as such, all else as text.
Json typed(const std::string& value) {
    if (value == "on" || value == "true") return true;
    if (value == "off" || value == "false") return false;
    if (const auto number = whole(value)) return *number;
    return value;
}

}  // namespace

CloudHypervisor::CloudHypervisor(Peer peer) : peer_(std::make_unique<Peer>(std::move(peer))) {}
CloudHypervisor::~CloudHypervisor() = default;

Result<std::unique_ptr<Vmm>> CloudHypervisor::connect(const std::string& path) {
    VFB_TRY(auto peer, Peer::connect("Cloud Hypervisor", path, 10s));
    auto vmm = std::make_unique<CloudHypervisor>(std::move(peer));
    VFB_CHECK(vmm->identify());
    return vmm;
}

// Between two messages of one process: it lived, and so had that start time.
Result<> CloudHypervisor::identify() {
    VFB_CHECK(info());
    const pid_t pid = peer_->sender();
    VFB_TRY(const auto root, SysRoot::host());
    VFB_TRY(process_, identify_process(root.proc(), pid));
    VFB_CHECK(info());
    if (peer_->sender() != pid) return peer_->protocol_error("several processes answer");
    return {};
}

Result<CloudHypervisor::Response> CloudHypervisor::request(const std::string& method,
                                                           const std::string& endpoint,
                                                           const Json& body, int descriptor) {
    std::string text =
        fmt::format("{} /api/v1/{} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n",
                    method, endpoint);
    if (!body.is_null()) {
        const std::string content = body.dump(-1, ' ', true, Json::error_handler_t::replace);
        text += fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
                            content.size(), content);
    } else {
        text += "\r\n";
    }
    VFB_CHECK(peer_->send(text, descriptor));
    VFB_TRY(auto response, read_response());
    if (response.status / 100 == 2) return response;
    return fail(response.status == 404 ? Code::not_found : Code::failed,
                fmt::format("run {} in Cloud Hypervisor", endpoint), peer_->path(),
                fmt::format("it says (HTTP {}): {}", response.status, response.body));
}

Result<CloudHypervisor::Response> CloudHypervisor::read_response() {
    const Deadline deadline(kTimeout);
    for (;;) {
        const auto end = input_.find("\r\n\r\n");
        if (end != std::string::npos) {
            const std::string_view head = std::string_view(input_).substr(0, end);
            // `HTTP/1.1 204 No Content`
            const auto status = head.size() < 12 ? std::nullopt : whole(head.substr(9, 3));
            const auto length = length_of(head);
            if (!head.starts_with("HTTP/1.") || !status || !length || *length > kMostBytes)
                return peer_->protocol_error("its answer is not HTTP",
                                             "is it the socket of --api-socket?");
            const std::size_t all = end + 4 + *length;
            if (input_.size() >= all) {
                Response response{.status = static_cast<int>(*status),
                                  .body = input_.substr(end + 4, *length)};
                input_.erase(0, all);
                return response;
            }
        } else if (input_.size() > kMostBytes) {
            return peer_->protocol_error("its answer has no end");
        }
        VFB_TRY(const auto bytes, peer_->receive(deadline));
        input_ += bytes;
    }
}

Result<Json> CloudHypervisor::info() {
    VFB_TRY(const auto response, request("GET", "vm.info", Json()));
    auto body = proto::parse_object(response.body, {.message_bytes = kMostBytes, .depth = 128});
    if (!body) return peer_->protocol_error(body.error().reason);
    return body;
}

Result<std::uint64_t> CloudHypervisor::pinned_memory(std::size_t) {
    VFB_TRY(const auto vm, info());
    const Json& memory = member(member(vm, "config"), "memory");
    std::uint64_t bytes = size(memory, "size") + size(memory, "hotplug_size");
    const Json& zones = member(memory, "zones");
    for (const Json& zone : zones.is_array() ? zones : Json::array())
        bytes += size(zone, "size") + size(zone, "hotplug_size");
    return bytes;
}

Result<> CloudHypervisor::plug(const client::Lease& lease,
                               const std::vector<std::string>& options) {
    if (lease.context) {
        VFB_TRY(const auto vm, info());
        if (member(member(member(vm, "config"), "platform"), "iommufd") != true)
            return fail(Code::unsupported, fmt::format("plug in lease {}", lease.id),
                        lease.functions.front().address,
                        "this Cloud Hypervisor was not started for iommufd",
                        "start it (version 53 or later) with --platform iommufd=on, or add "
                        "--backend group");
    }
    for (std::size_t i = 0; i < lease.functions.size(); ++i) {
        const auto& function = lease.functions[i];
        Json device = {{"id", device_id(lease.id, i)}};
        if (!function.descriptor) device["path"] = sysfs_path(function.address);
        for (const auto& option : options) {
            const auto equals = option.find('=');
            device[option.substr(0, equals)] = typed(option.substr(equals + 1));
        }
        auto added = request("PUT", "vm.add-device", device, function.descriptor.get());
        if (added) continue;
        Error error = std::move(added).error();
        error.operation = fmt::format("plug {} into the guest", function.address);
        error.subject = function.address;
        error.hint = "the log of Cloud Hypervisor and `dmesg` may say more";
        return std::unexpected(std::move(error));
    }
    return {};
}

Result<bool> CloudHypervisor::has(const Plugged& plugged) {
    VFB_TRY(const auto vm, info());
    const Json& devices = member(vm, "device_tree");
    for (std::size_t i = 0; i < plugged.count; ++i)
        if (!devices.contains(device_id(plugged.lease, i))) return false;
    return true;
}

Result<> CloudHypervisor::unplug(const Plugged& plugged, std::chrono::milliseconds) {
    VFB_TRY(const auto vm, info());
    for (std::size_t i = 0; i < plugged.count; ++i) {
        const std::string id = device_id(plugged.lease, i);
        if (!member(vm, "device_tree").contains(id)) continue;
        VFB_CHECK(request("PUT", "vm.remove-device", {{"id", id}}));
    }
    return {};
}

}  // namespace vfb::vmm
