// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a VMM answers, read without trust in its shape.
#pragma once

#include "proto/json.hpp"

namespace vfb::vmm {

// The member of that name; null where there is none, or `object` is no object.
inline const proto::Json& member(const proto::Json& object, const char* name) {
    static const proto::Json nothing;
    if (!object.is_object()) return nothing;
    const auto found = object.find(name);
    return found != object.end() ? *found : nothing;
}

}  // namespace vfb::vmm
