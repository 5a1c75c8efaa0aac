// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/result.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace vfb {
namespace {

constexpr std::array<std::pair<Code, std::string_view>, 13> kNames{{
    {Code::failed, "failed"},
    {Code::invalid, "invalid"},
    {Code::denied, "denied"},
    {Code::not_found, "not-found"},
    {Code::busy, "busy"},
    {Code::timeout, "timeout"},
    {Code::not_running, "not-running"},
    {Code::unsupported, "unsupported"},
    {Code::not_viable, "not-viable"},
    {Code::exhausted, "exhausted"},
    {Code::lost, "lost"},
    {Code::stuck, "stuck"},
    {Code::protocol, "protocol"},
}};

}  // namespace

std::string_view to_string(Code code) {
    for (const auto& [value, name] : kNames)
        if (value == code) return name;
    return "failed";
}

Code code_from_string(std::string_view name) {
    for (const auto& [value, text] : kNames)
        if (text == name) return value;
    return Code::failed;
}

std::string errno_text(int errnum) {
    std::array<char, 128> buffer{};
    return strerror_r(errnum, buffer.data(), buffer.size());
}

Code code_of_errno(int errnum) {
    switch (errnum) {
        case EACCES:
        case EPERM:
            return Code::denied;
        case ENOENT:
            return Code::not_found;
        case ENODEV:
        case ENXIO:
            return Code::lost;
        case EBUSY:
            return Code::busy;
        case EINVAL:
        case ERANGE:
            return Code::invalid;
        case EOPNOTSUPP:
        case ENOTTY:
        case ENOSYS:
            return Code::unsupported;
        case ENOMEM:
        case ENOSPC:
        case EMFILE:
        case ENFILE:
            return Code::exhausted;
        case ETIMEDOUT:
            return Code::timeout;
        default:
            return Code::failed;
    }
}

Error&& Error::because(Error inner) && {
    if (hint.empty()) hint = inner.hint;
    cause = std::make_shared<const Error>(std::move(inner));
    return std::move(*this);
}

std::string Error::message() const {
    std::string text = operation.empty() ? reason : "cannot " + operation;
    if (!operation.empty() && !reason.empty()) text += ": " + reason;
    if (errnum != 0) text += ": " + errno_text(errnum);
    if (cause) text += ": " + cause->message();
    return text;
}

std::unexpected<Error> fail(Code code, std::string operation, std::string subject,
                            std::string reason, std::string hint) {
    return std::unexpected(Error{.code = code,
                                 .errnum = 0,
                                 .operation = std::move(operation),
                                 .subject = std::move(subject),
                                 .reason = std::move(reason),
                                 .hint = std::move(hint),
                                 .cause = nullptr});
}

std::unexpected<Error> fail_errno(int errnum, std::string operation, std::string subject,
                                  std::string reason, std::string hint) {
    return std::unexpected(Error{.code = code_of_errno(errnum),
                                 .errnum = errnum,
                                 .operation = std::move(operation),
                                 .subject = std::move(subject),
                                 .reason = std::move(reason),
                                 .hint = std::move(hint),
                                 .cause = nullptr});
}

}  // namespace vfb
