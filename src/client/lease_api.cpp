// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C ABI: leases.
#include <array>
#include <memory>

#include "base/pidfd.hpp"
#include "c_api.hpp"
#include "client/deferred_owner.hpp"

namespace {

using vfb::Result;
using vfb::UniqueFd;

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

// A descriptor by its number among all of the lease: the context, the groups, the functions'.
struct Numbered {
    UniqueFd* fd = nullptr;
    vfb_role role = VFB_ROLE_IOMMUFD;
    const char* address = nullptr;
};

constexpr std::array kRoles{VFB_ROLE_IOMMUFD, VFB_ROLE_CDEV, VFB_ROLE_CONTAINER, VFB_ROLE_GROUP,
                            VFB_ROLE_DEVICE};

Numbered numbered(vfb::client::Lease& lease, std::size_t number) {
    for (const vfb_role name : kRoles) {
        const Role role = role_of(lease, name);
        if (number < role.count)
            return {.fd = role.at(number),
                    .role = name,
                    .address = role.functions == nullptr ? nullptr
                                                         : role.functions[number].address.c_str()};
        number -= role.count;
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
        VFB_TRY(auto request, vfb::client::request_of(pool, options));
        const auto method = vfb::client::defer_owner(request);
        VFB_TRY(auto granted, vfb::client::lease(connection->client, request));
        auto handle = std::make_unique<vfb_lease_handle>(vfb_lease_handle{std::move(granted)});
        VFB_CHECK(vfb::client::give_to_owner(connection->client, method, handle->lease));
        *lease = handle.release();
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

const char* vfb_lease_netdev(const vfb_lease_handle* lease, size_t index) {
    const auto& functions = lease->lease.functions;
    if (index >= functions.size() || functions[index].netdev.empty()) return nullptr;
    return functions[index].netdev.c_str();
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

const char* vfb_role_name(vfb_role role) {
    switch (role) {
        case VFB_ROLE_IOMMUFD:
            return "iommufd";
        case VFB_ROLE_CDEV:
            return "cdev";
        case VFB_ROLE_CONTAINER:
            return "container";
        case VFB_ROLE_GROUP:
            return "group";
        case VFB_ROLE_DEVICE:
            return "device";
    }
    return nullptr;
}

size_t vfb_lease_descriptors(const vfb_lease_handle* lease) {
    if (!lease->lease.has_descriptors) return 0;
    size_t count = 0;
    for (const vfb_role role : kRoles) count += role_of(lease_of(lease), role).count;
    return count;
}

int vfb_lease_descriptor(const vfb_lease_handle* lease, size_t number, vfb_role* role,
                         const char** address) {
    if (number >= vfb_lease_descriptors(lease)) return -1;
    const Numbered found = numbered(lease_of(lease), number);
    if (role != nullptr) *role = found.role;
    if (address != nullptr) *address = found.address;
    return found.fd == nullptr ? -1 : found.fd->get();
}

vfb_code vfb_lease_transfer(vfb_connection* connection, const vfb_lease_handle* lease, int pidfd,
                            vfb_error** error) {
    return vfb::client::guarded(error, [&]() -> Result<> {
        std::optional<vfb::ProcessId> process;
        if (pidfd != -1) {
            VFB_TRY(process, vfb::identify_pidfd(pidfd));
        }
        return vfb::client::transfer(connection->client, lease->lease.id, process);
    });
}

vfb_code vfb_lease_keep(vfb_connection* connection, const vfb_lease_handle* lease,
                        vfb_error** error) {
    return vfb::client::guarded(error, [&]() -> Result<> {
        return vfb::client::keep(connection->client, lease->lease.id);
    });
}

void vfb_lease_free(vfb_lease_handle* lease) {
    delete lease;
}

vfb_code vfb_release(vfb_connection* connection, vfb_lease_handle* lease, vfb_error** error) {
    return vfb::client::guarded(error, [&]() -> Result<> {
        close_descriptors(lease->lease);
        VFB_CHECK(
            vfb::client::release(connection->client, lease->lease.id, lease->lease.generation()));
        connection->watch.remove(lease->lease.id);
        delete lease;
        return {};
    });
}

vfb_code vfb_release_id(vfb_connection* connection, uint64_t id, uint64_t generation,
                        vfb_error** error) {
    return vfb::client::guarded(error, [&]() -> Result<> {
        VFB_TRY(const auto number, vfb::client::wire_number(id, "release a lease"));
        VFB_TRY(const auto of, vfb::client::wire_number(generation, "release a lease"));
        VFB_CHECK(vfb::client::release(connection->client, number, of));
        connection->watch.remove(number);
        return {};
    });
}

}  // extern "C"
