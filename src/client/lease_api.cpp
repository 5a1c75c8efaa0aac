// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C ABI: leases.
#include <algorithm>
#include <cstring>
#include <limits>

#include "c_api.hpp"

namespace {

using vfb::Code;
using vfb::Result;
using vfb::UniqueFd;
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

Result<LeaseRequest> request_of(const char* pool, const vfb_lease_options* given) {
    if (pool == nullptr) return vfb::fail(Code::invalid, "lease", {}, "no pool is named");
    VFB_TRY(const auto options, complete(given));
    LeaseRequest request;
    request.pool = pool;
    if (options.count != 0) request.count = options.count;
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
    return request;
}

// Descriptors of a role; those of functions are one each, by the backend.
struct Role {
    UniqueFd* first = nullptr;
    vfb::client::LeasedFunction* functions = nullptr;
    std::size_t count = 0;

    UniqueFd* at(std::size_t index) const {
        if (index >= count) return nullptr;
        return functions != nullptr ? &functions[index].descriptor : first + index;
    }
};

Role role_of(vfb::client::Lease& lease, vfb_role role) {
    const bool iommufd = lease.backend == "iommufd";
    switch (role) {
        case VFB_ROLE_IOMMUFD:
            if (iommufd) return {.first = &lease.context, .count = 1};
            break;
        case VFB_ROLE_CONTAINER:
            if (!iommufd) return {.first = &lease.context, .count = 1};
            break;
        case VFB_ROLE_GROUP:
            return {.first = lease.groups.data(), .count = lease.groups.size()};
        case VFB_ROLE_CDEV:
            if (iommufd)
                return {.functions = lease.functions.data(), .count = lease.functions.size()};
            break;
        case VFB_ROLE_DEVICE:
            if (!iommufd)
                return {.functions = lease.functions.data(), .count = lease.functions.size()};
            break;
    }
    return {};
}

// Accessors read only; the handle behind a const pointer is one of ours and never const.
vfb::client::Lease& lease_of(const vfb_lease_handle* handle) {
    return const_cast<vfb_lease_handle*>(handle)->lease;
}

void close_descriptors(vfb::client::Lease& lease) {
    lease.context.reset();
    for (auto& group : lease.groups) group.reset();
    for (auto& function : lease.functions) function.descriptor.reset();
}

}  // namespace

extern "C" {

vfb_code vfb_lease(vfb_connection* connection, const char* pool, const vfb_lease_options* options,
                   vfb_lease_handle** lease, vfb_error** error) {
    return vfb::client::guarded(error, [&]() -> Result<> {
        VFB_TRY(const auto request, request_of(pool, options));
        VFB_TRY(auto granted, vfb::client::lease(connection->client, request));
        *lease = new vfb_lease_handle{std::move(granted)};
        return {};
    });
}

uint64_t vfb_lease_id(const vfb_lease_handle* lease) {
    return static_cast<uint64_t>(lease->lease.id);
}

uint64_t vfb_lease_generation(const vfb_lease_handle* lease) {
    return static_cast<uint64_t>(lease->lease.generation());
}

vfb_backend vfb_lease_backend(const vfb_lease_handle* lease) {
    return lease->lease.backend == "iommufd" ? VFB_BACKEND_IOMMUFD : VFB_BACKEND_GROUP;
}

size_t vfb_lease_count(const vfb_lease_handle* lease) {
    return lease->lease.functions.size();
}

const char* vfb_lease_address(const vfb_lease_handle* lease, size_t index) {
    const auto& functions = lease->lease.functions;
    return index < functions.size() ? functions[index].address.c_str() : nullptr;
}

const char* vfb_lease_node(const vfb_lease_handle* lease, size_t index) {
    const auto& functions = lease->lease.functions;
    if (index >= functions.size() || functions[index].node.empty()) return nullptr;
    return functions[index].node.c_str();
}

size_t vfb_lease_fds(const vfb_lease_handle* lease, vfb_role role) {
    const Role found = role_of(lease_of(lease), role);
    size_t present = 0;
    for (size_t i = 0; i < found.count; ++i) present += *found.at(i) ? 1U : 0U;
    return present;
}

int vfb_lease_fd(const vfb_lease_handle* lease, vfb_role role, size_t index) {
    const UniqueFd* fd = role_of(lease_of(lease), role).at(index);
    return fd == nullptr ? -1 : fd->get();
}

int vfb_lease_take_fd(vfb_lease_handle* lease, vfb_role role, size_t index) {
    UniqueFd* fd = role_of(lease->lease, role).at(index);
    return fd == nullptr ? -1 : fd->release();
}

void vfb_lease_free(vfb_lease_handle* lease) {
    delete lease;
}

vfb_code vfb_release(vfb_connection* connection, vfb_lease_handle* lease, vfb_error** error) {
    return vfb::client::guarded(error, [&]() -> Result<> {
        close_descriptors(lease->lease);
        VFB_CHECK(
            vfb::client::release(connection->client, lease->lease.id, lease->lease.generation()));
        delete lease;
        return {};
    });
}

vfb_code vfb_release_id(vfb_connection* connection, uint64_t id, uint64_t generation,
                        vfb_error** error) {
    return vfb::client::guarded(error, [&]() -> Result<> {
        constexpr auto most = static_cast<uint64_t>(std::numeric_limits<std::int64_t>::max());
        if (id > most || generation > most)
            return vfb::fail(Code::not_found, "release a lease", {}, "there is no such lease");
        return vfb::client::release(connection->client, static_cast<std::int64_t>(id),
                                    static_cast<std::int64_t>(generation));
    });
}

}  // extern "C"
