// SPDX-License-Identifier: GPL-2.0-or-later
//
// Members of the daemon's answers for showing. Absent, null and mistyped members are all "not
// known": a CLI a little older or newer than the daemon shows what it understands.
#pragma once

#include <string>
#include <vector>

#include "proto/json.hpp"

namespace vfb::cli {

// null when there is no such member.
const proto::Json& member(const proto::Json& object, const char* name);
// "" when it is no text.
std::string text(const proto::Json& object, const char* name);
// "" when it is no whole number.
std::string number(const proto::Json& object, const char* name);
// `yes`, `no`, or "".
std::string yes_no(const proto::Json& object, const char* name);
bool flag(const proto::Json& object, const char* name);
// Elements of an array; none when it is none.
std::vector<proto::Json> elements(const proto::Json& object, const char* name);
// Texts of an array, joined.
std::string joined(const proto::Json& object, const char* name, const char* separator = " ");
// `mac 02:…, vlan 5, trust on`: what is set of an Attributes, as the options of `lease` call it.
std::string attributes(const proto::Json& object);

}  // namespace vfb::cli
