// SPDX-License-Identifier: GPL-2.0-or-later
//
// Attributes within attributes, as nla_for_each_nested() of libnl walks them, but without a call
// for each step: a list of VFs has thousands.
#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstring>
#include <optional>

namespace vfb::nic {

inline std::size_t length_of(const nlattr* attribute) {
    return attribute->nla_len - std::size_t{NLA_HDRLEN};
}
inline const std::byte* data_of(const nlattr* attribute) {
    return reinterpret_cast<const std::byte*>(attribute) + NLA_HDRLEN;
}
inline int type_of(const nlattr* attribute) {
    return attribute->nla_type & NLA_TYPE_MASK;
}

// Calls `body` with each attribute of a list whose own length is known to be right.
template <class Body>
void for_each_nested(const nlattr* list, Body body) {
    const std::byte* at = data_of(list);
    for (std::size_t left = length_of(list); left >= NLA_HDRLEN;) {
        const auto* const attribute = reinterpret_cast<const nlattr*>(at);
        if (attribute->nla_len < NLA_HDRLEN || attribute->nla_len > left) return;
        body(attribute);
        const std::size_t step = NLA_ALIGN(attribute->nla_len);
        if (step >= left) return;
        at += step;
        left -= step;
    }
}

// nullptr: there is none.
inline const nlattr* find_nested(const nlattr* list, int type) {
    const nlattr* found = nullptr;
    for_each_nested(list, [&](const nlattr* attribute) {
        if (found == nullptr && type_of(attribute) == type) found = attribute;
    });
    return found;
}

// The payload as a T, or nullopt when the kernel sent fewer bytes (drivers and kernels differ).
template <class T>
std::optional<T> payload(const nlattr* attribute) {
    if (length_of(attribute) < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, data_of(attribute), sizeof(T));
    return value;
}

}  // namespace vfb::nic
