// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the readers of vfbrokerd's answers share: members that have to be there, and of their type.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "proto/json.hpp"

namespace vfb::client {

// Code::protocol.
std::unexpected<Error> unusable(std::string reason);
Result<std::string> text(const proto::Json& object, const char* name);
Result<std::int64_t> number(const proto::Json& object, const char* name);
Result<const proto::Json*> array(const proto::Json& object, const char* name);

}  // namespace vfb::client
