// SPDX-License-Identifier: GPL-2.0-or-later
//
// The table of VF attributes: one row holds all that is known about one attribute.
#pragma once

#include <cstdint>
#include <span>

#include "messages.hpp"
#include "nic/vf_attributes.hpp"

namespace vfb::nic {

// Puts the IFLA_VF_* attribute of VF `vf` into a message; the values are those of `all`, in which
// the attributes that share the message are set.
using Encoder = void (*)(Messages& message, std::uint32_t vf, const VfAttributes& all);

struct Attribute {
    AttributeInfo info;
    // The kernel takes some attributes together (VLAN, QoS and protocol; both rates): rows with the
    // same encoder travel in one message.
    Encoder encode;
    int type;                                         // IFLA_VF_* that it is read from
    void (*read)(const nlattr* data, VfAttributes&);  // leaves it unset if not reported
    bool (*valid)(const VfAttributes&);               // what is set can be meant; nullptr: all can
    // Else it neither differs nor is written; nullptr: it always does.
    bool (*applies)(const VfAttributes& all);
    bool (*is_set)(const VfAttributes&);
    bool (*is_default)(const VfAttributes&);  // set, to what the driver starts with
    bool (*equal)(const VfAttributes&, const VfAttributes&);
    void (*copy)(VfAttributes& to, const VfAttributes& from);
    void (*set_default)(VfAttributes&);
    bool (*parse)(std::string_view text, VfAttributes&);
    std::string (*format)(const VfAttributes&);    // only when set
    std::uint64_t (*number)(const VfAttributes&);  // only when set: its place among all values
    unsigned bits;                                 // of an address; else 0
    // Of a number that stands alone as a range: the range begins here and ends with it. Absent: it
    // is the only value.
    std::optional<std::uint64_t> bound_from;
};

std::span<const Attribute> attribute_table();
bool is_valid(const Attribute& attribute, const VfAttributes& attributes);
const Attribute* find_attribute(std::string_view name);  // nullptr: there is none

// `wanted` set, applicable in the state that it leads to, and not equal to `actual`.
bool differs(const Attribute& attribute, const VfAttributes& wanted, const VfAttributes& actual);

// Of one IFLA_VF_INFO (a nest of IFLA_VF_*): which VF the driver says it is of, and its attributes.
std::optional<std::uint32_t> index_of_vf(const nlattr* info);
VfAttributes read_vf_attributes(const nlattr* info);

}  // namespace vfb::nic
