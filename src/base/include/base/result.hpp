// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Result and Error: what every fallible function of vfbroker returns.
//
// No exception crosses a module. An Error is complete enough to be shown to the person at the
// terminal, written to the log and sent as JSON without anybody adding to it: `message()` names
// what failed, on which device, and why; `hint` says what to do next.
//
// Values are immutable once built and may be handed between threads.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>

namespace vfb {

// Stable codes: they are API (JSON `code`, exit status of the CLI), names never change meaning.
enum class Code {
    failed,       // the kernel or the device said no, and no other code says it better
    invalid,      // the request, the configuration or the input is malformed
    denied,       // the caller may not do this
    not_found,    // no such function, pool, lease, file
    busy,         // in use or leased; may succeed later
    timeout,      // a deadline passed while waiting
    not_running,  // the daemon cannot be reached
    unsupported,  // this kernel, driver or device cannot do it
    not_viable,   // the IOMMU cannot isolate the function (or there is no IOMMU)
    exhausted,    // fewer functions, VFs, memory or descriptors than asked for
    lost,         // the device went away
    stuck,        // a kernel call on this device has not come back
    protocol,     // the peer broke the wire protocol
};

std::string_view to_string(Code code);
// The inverse, for errors read from the wire. Unknown names become Code::failed.
Code code_from_string(std::string_view name);

struct Error {
    Code code = Code::failed;
    int errnum = 0;         // errno of the failing call, 0 if none
    std::string operation;  // completes "cannot ...": `bind 0000:01:10.0 to vfio-pci`
    std::string subject;    // the function, file or lease concerned: `0000:01:10.0`
    std::string reason;     // why, in words; the errno's text is appended by message()
    std::string hint;       // what to do next; may be empty
    std::shared_ptr<const Error> cause;

    // `cannot <operation>: <reason>[: <errno text>][: <cause>]`, one line, no hint.
    [[nodiscard]] std::string message() const;
    // The code that decides the exit status: the outermost one.
    [[nodiscard]] std::string_view code_name() const { return to_string(code); }

    Error&& with_hint(std::string text) && {
        hint = std::move(text);
        return std::move(*this);
    }
    Error&& because(Error inner) &&;
};

template <class T = void>
using Result = std::expected<T, Error>;

// Text of an errno without locale or static buffers.
std::string errno_text(int errnum);

// Shorthands for the two most common errors.
[[nodiscard]] std::unexpected<Error> fail(Code code, std::string operation, std::string subject,
                                          std::string reason, std::string hint = {});
[[nodiscard]] std::unexpected<Error> fail_errno(int errnum, std::string operation,
                                                std::string subject, std::string reason = {},
                                                std::string hint = {});
// The code that an errno stands for when nothing more is known.
Code code_of_errno(int errnum);

}  // namespace vfb

#define VFB_CONCAT_(a, b) a##b
#define VFB_CONCAT(a, b) VFB_CONCAT_(a, b)
// VFB_TRY(auto x, f()): x = value of f(), or return its error from the calling function.
#define VFB_TRY(decl, ...)                                                         \
    auto VFB_CONCAT(vfb_try_, __LINE__) = (__VA_ARGS__);                           \
    if (!VFB_CONCAT(vfb_try_, __LINE__))                                           \
        return std::unexpected(std::move(VFB_CONCAT(vfb_try_, __LINE__)).error()); \
    decl = std::move(*VFB_CONCAT(vfb_try_, __LINE__))
// VFB_CHECK(f()): return the error of f() from the calling function, if it has one.
#define VFB_CHECK(...)                                             \
    do {                                                           \
        if (auto vfb_check_ = (__VA_ARGS__); !vfb_check_)          \
            return std::unexpected(std::move(vfb_check_).error()); \
    } while (false)
