// SPDX-License-Identifier: LGPL-2.1-or-later
//
// C++17 over the C ABI of libvfbroker; header only. Ownership, threads and units are those of
// vfbroker.h. Handles are moved, never copied; errors are thrown as vfbroker::Error.
#ifndef VFBROKER_VFBROKER_HPP
#define VFBROKER_VFBROKER_HPP

#include <vfbroker/vfbroker.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace vfbroker {

// what() is the whole message, in one line.
class Error : public std::runtime_error {
public:
    Error(vfb_code code, const std::string& message, std::string hint)
        : std::runtime_error(message), code_(code), hint_(std::move(hint)) {}

    vfb_code code() const noexcept { return code_; }
    // What to do next; may be empty.
    const std::string& hint() const noexcept { return hint_; }

private:
    vfb_code code_;
    std::string hint_;
};

namespace detail {

inline void check(vfb_code code, vfb_error* error) {
    if (code == VFB_OK) return;
    const std::unique_ptr<vfb_error, decltype(&vfb_error_free)> owner(error, &vfb_error_free);
    if (error == nullptr) throw Error(code, "libvfbroker is out of memory", {});
    throw Error(code, vfb_error_message(error), vfb_error_hint(error));
}

}  // namespace detail

class Options {
public:
    // Members of vfb_lease_options, all unset; texts and lists that they point to are the caller's.
    vfb_lease_options* operator->() noexcept { return &options_; }
    const vfb_lease_options* get() const noexcept { return &options_; }

private:
    vfb_lease_options options_ = VFB_LEASE_OPTIONS_INIT;
};

// A descriptor of a lease, which owns it.
struct Descriptor {
    int fd;  // -1: it was taken
    vfb_role role;
    const char* address;  // function that it is of; nullptr: it serves the whole lease
};

class Lease {
public:
    std::uint64_t id() const noexcept { return vfb_lease_id(handle_.get()); }
    std::uint64_t generation() const noexcept { return vfb_lease_generation(handle_.get()); }
    vfb_backend backend() const noexcept { return vfb_lease_backend(handle_.get()); }
    std::size_t count() const noexcept { return vfb_lease_count(handle_.get()); }
    // nullptr when there is none.
    const char* address(std::size_t index) const noexcept {
        return vfb_lease_address(handle_.get(), index);
    }
    const char* node(std::size_t index) const noexcept {
        return vfb_lease_node(handle_.get(), index);
    }
    const char* netdev(std::size_t index) const noexcept {
        return vfb_lease_netdev(handle_.get(), index);
    }
    std::vector<Descriptor> descriptors() const {
        std::vector<Descriptor> all(vfb_lease_descriptors(handle_.get()));
        std::size_t number = 0;
        for (Descriptor& one : all)
            one.fd = vfb_lease_descriptor(handle_.get(), number++, &one.role, &one.address);
        return all;
    }
    std::size_t fds(vfb_role role) const noexcept { return vfb_lease_fds(handle_.get(), role); }
    // Owned by the lease; -1 when there is none.
    int fd(vfb_role role, std::size_t index = 0) const noexcept {
        return vfb_lease_fd(handle_.get(), role, index);
    }
    // Owned by the caller.
    int take_fd(vfb_role role, std::size_t index = 0) noexcept {
        return vfb_lease_take_fd(handle_.get(), role, index);
    }

private:
    friend class Connection;
    explicit Lease(vfb_lease_handle* handle) : handle_(handle, &vfb_lease_free) {}

    std::unique_ptr<vfb_lease_handle, decltype(&vfb_lease_free)> handle_;
};

class Event {
public:
    vfb_lease_event type() const noexcept { return vfb_event_type(handle_.get()); }
    std::uint64_t lease() const noexcept { return vfb_event_lease(handle_.get()); }
    std::uint64_t generation() const noexcept { return vfb_event_generation(handle_.get()); }
    // nullptr unless it is VFB_LEASE_LOST.
    const char* address() const noexcept { return vfb_event_address(handle_.get()); }
    const char* reason() const noexcept { return vfb_event_reason(handle_.get()); }

private:
    friend class Connection;
    explicit Event(vfb_event* handle) : handle_(handle, &vfb_event_free) {}

    std::unique_ptr<vfb_event, decltype(&vfb_event_free)> handle_;
};

class Connection {
public:
    // nullptr: the usual socket.
    explicit Connection(const char* path) : handle_(nullptr, &vfb_close) {
        vfb_connection* connection = nullptr;
        vfb_error* error = nullptr;
        const vfb_code code = vfb_connect(path, &connection, &error);
        detail::check(code, error);
        handle_.reset(connection);
    }
    Connection() : Connection(nullptr) {}
    explicit Connection(const std::string& path) : Connection(path.c_str()) {}

    Lease lease(const std::string& pool, const Options& options = {}) {
        vfb_lease_handle* handle = nullptr;
        vfb_error* error = nullptr;
        const vfb_code code =
            vfb_lease(handle_.get(), pool.c_str(), options.get(), &handle, &error);
        detail::check(code, error);
        return Lease(handle);
    }
    // Closes the lease's descriptors and ends it. When it throws, the lease is as it was but for
    // the descriptors.
    void release(Lease& lease) {
        vfb_error* error = nullptr;
        const vfb_code code = vfb_release(handle_.get(), lease.handle_.get(), &error);
        detail::check(code, error);
        static_cast<void>(lease.handle_.release());
    }
    void release(std::uint64_t id, std::uint64_t generation) {
        vfb_error* error = nullptr;
        const vfb_code code = vfb_release_id(handle_.get(), id, generation, &error);
        detail::check(code, error);
    }
    // `pidfd` -1: to the process that the lease is for.
    void transfer(const Lease& lease, int pidfd = -1) {
        vfb_error* error = nullptr;
        const vfb_code code = vfb_lease_transfer(handle_.get(), lease.handle_.get(), pidfd, &error);
        detail::check(code, error);
    }
    void keep(const Lease& lease) {
        vfb_error* error = nullptr;
        const vfb_code code = vfb_lease_keep(handle_.get(), lease.handle_.get(), &error);
        detail::check(code, error);
    }
    int fd() const noexcept { return vfb_fd(handle_.get()); }

    // For event loops: `event loops` of vfbroker.h says how.
    int poll_fd() const noexcept { return vfb_poll_fd(handle_.get()); }
    void dispatch() {
        vfb_error* error = nullptr;
        const vfb_code code = vfb_dispatch(handle_.get(), &error);
        detail::check(code, error);
    }
    void start_lease(const std::string& pool, const Options& options = {}) {
        vfb_error* error = nullptr;
        const vfb_code code = vfb_lease_start(handle_.get(), pool.c_str(), options.get(), &error);
        detail::check(code, error);
    }
    // The lease that was started; nullopt while it is not there.
    std::optional<Lease> lease_result() {
        vfb_lease_handle* handle = nullptr;
        vfb_error* error = nullptr;
        const vfb_code code = vfb_lease_result(handle_.get(), &handle, &error);
        if (code == VFB_PENDING) return std::nullopt;
        detail::check(code, error);
        return Lease(handle);
    }
    void watch(std::uint64_t id, std::uint64_t generation) {
        vfb_error* error = nullptr;
        const vfb_code code = vfb_watch(handle_.get(), id, generation, &error);
        detail::check(code, error);
    }
    void watch(const Lease& lease) { watch(lease.id(), lease.generation()); }
    std::optional<Event> next_event() {
        vfb_event* event = vfb_next_event(handle_.get());
        if (event == nullptr) return std::nullopt;
        return Event(event);
    }

private:
    std::unique_ptr<vfb_connection, decltype(&vfb_close)> handle_;
};

}  // namespace vfbroker

#endif
