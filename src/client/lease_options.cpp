// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C ABI: from vfb_lease_options to what is asked of vfbrokerd.
#include <cstring>
#include <limits>

#include "base/pidfd.hpp"
#include "c_api.hpp"

namespace {

using vfb::Code;
using vfb::Result;
using vfb::client::LeaseRequest;

Result<std::string> name_of(vfb_backend backend) {
    if (backend == VFB_BACKEND_IOMMUFD) return "iommufd";
    if (backend == VFB_BACKEND_GROUP) return "group";
    return vfb::fail(Code::invalid, "lease", {}, "the backend is none of vfb_backend");
}

Result<std::string> name_of(vfb_owner owner) {
    if (owner == VFB_OWNER_CONNECTION) return "connection";
    if (owner == VFB_OWNER_PROCESS) return "process";
    if (owner == VFB_OWNER_GUEST) return "guest";
    return vfb::fail(Code::invalid, "lease", {}, "the owner is none of vfb_owner");
}

Result<std::string> name_of(vfb_hand_off hand_off) {
    if (hand_off == VFB_HAND_OFF_DESCRIPTORS) return "descriptors";
    if (hand_off == VFB_HAND_OFF_NODE) return "node";
    if (hand_off == VFB_HAND_OFF_NETDEV) return "netdev";
    if (hand_off == VFB_HAND_OFF_NONE) return "none";
    return vfb::fail(Code::invalid, "lease", {}, "the hand-off is none of vfb_hand_off");
}

std::optional<std::string> text_if_set(const char* text) {
    return text == nullptr ? std::nullopt : std::optional<std::string>(text);
}

std::optional<std::int64_t> number_if_set(std::int64_t value) {
    return value == -1 ? std::nullopt : std::optional(value);
}

std::optional<bool> switch_if_set(vfb_switch value) {
    return value == VFB_UNSET ? std::nullopt : std::optional(value == VFB_ON);
}

vfb::client::Attributes attributes_of(const vfb_lease_options& options) {
    return {.mac = text_if_set(options.mac),
            .vlan = number_if_set(options.vlan),
            .qos = number_if_set(options.qos),
            .vlan_protocol = text_if_set(options.vlan_protocol),
            .spoof_check = switch_if_set(options.spoof_check),
            .trust = switch_if_set(options.trust),
            .min_tx_rate = number_if_set(options.min_tx_rate),
            .max_tx_rate = number_if_set(options.max_tx_rate),
            .link_state = text_if_set(options.link_state),
            .rss_query = switch_if_set(options.rss_query),
            .node_guid = text_if_set(options.node_guid),
            .port_guid = text_if_set(options.port_guid)};
}

// The caller's options as this library knows them: members that the caller's version lacks say
// nothing. Members that this version lacks must not be dropped in silence.
Result<vfb_lease_options> complete(const vfb_lease_options* given) {
    vfb_lease_options options = VFB_LEASE_OPTIONS_INIT;
    if (given == nullptr) return options;
    if (given->size > sizeof options)
        return vfb::fail(Code::unsupported, "lease", {},
                         "the program was built for a newer libvfbroker");
    if (given->size < sizeof given->size)
        return vfb::fail(Code::invalid, "lease", {}, "the options' size is not set");
    std::memcpy(&options, given, given->size);
    return options;
}

Result<std::vector<std::string>> functions_of(const vfb_lease_options& options) {
    std::vector<std::string> addresses;
    if (options.functions == nullptr) return addresses;
    for (const char* const* address = options.functions; *address != nullptr; ++address)
        addresses.emplace_back(*address);
    if (addresses.empty())
        return vfb::fail(Code::invalid, "lease", {}, "the list of functions names none");
    if (options.count != 0 && options.count != addresses.size())
        return vfb::fail(Code::invalid, "lease", {}, "the count is not that of the functions");
    return addresses;
}

}  // namespace

Result<LeaseRequest> vfb::client::request_of(const char* pool, const vfb_lease_options* given) {
    if (pool == nullptr) return vfb::fail(Code::invalid, "lease", {}, "no pool is named");
    VFB_TRY(const auto options, complete(given));
    LeaseRequest request;
    request.pool = pool;
    VFB_TRY(request.functions, functions_of(options));
    if (options.count != 0 && request.functions.empty()) request.count = options.count;
    request.guest = text_if_set(options.guest);
    request.attributes = attributes_of(options);
    if (options.backend != VFB_BACKEND_ANY) {
        VFB_TRY(request.backend, name_of(options.backend));
    }
    VFB_TRY(request.owner, name_of(options.owner));
    VFB_TRY(request.hand_off, name_of(options.hand_off));
    if (options.wait_seconds != 0) request.wait_seconds = options.wait_seconds;
    if (options.memory_lock > std::numeric_limits<std::int64_t>::max())
        return vfb::fail(Code::invalid, "lease", {}, "memory_lock is too large");
    if (options.memory_lock != 0)
        request.memory_lock = static_cast<std::int64_t>(options.memory_lock);
    if (options.pidfd != -1) {
        VFB_TRY(request.process, vfb::identify_pidfd(options.pidfd));
    }
    request.as_tenant = switch_if_set(options.as_tenant);
    return request;
}
