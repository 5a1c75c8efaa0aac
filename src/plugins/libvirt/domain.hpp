// SPDX-License-Identifier: GPL-2.0-or-later
//
// A libvirt domain's XML: the host's PCI functions that it names, and what our element in its
// <metadata> asks for them. Pure: text in, values out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "client/lease.hpp"

namespace vfb::libvirt {

// Of our elements in <metadata>:
//   <lease xmlns="…"><function address="0000:01:10.0" vlan="5" trust="on"/></lease>
inline constexpr std::string_view kNamespace = "https://vfbroker.io/libvirt/1";
// What is larger is no domain of libvirt's.
inline constexpr std::size_t kMaxXml = 4 << 20;

struct HostFunction {
    std::string address;     // 0000:01:10.0
    bool managed = false;    // libvirt binds and unbinds it
    bool interface = false;  // of <interface type='hostdev'>: libvirt sets its MAC and VLAN
    std::optional<client::Attributes> attributes;  // when <metadata> names it
};

struct Domain {
    std::string name;
    std::string uuid;
    bool iommufd = false;  // its QEMU opens functions by iommufd, not by their groups
    std::vector<HostFunction> functions;
};

// Code::invalid says what is wrong with it. Nothing outside of the text is read, and a document
// type with its entities is refused.
Result<Domain> parse_domain(std::string_view xml);

}  // namespace vfb::libvirt
