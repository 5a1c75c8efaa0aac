// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the pools of vfbrokerd are in the Container Device Interface (CDI): a specification for
// each, of kind vfbroker.io/POOL, with a device for each function and one, `any`, for whichever is
// free.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace vfb::cdi {

struct Device {
    std::string address;             // of the PCI function
    std::vector<std::string> nodes;  // that VFIO reaches it by
};

struct Pool {
    std::string name;
    std::string backend;  // `iommufd`, `group`
    std::vector<Device> devices;
};

// A pool may have a name that no kind of device may have.
Result<> check_name(const std::string& pool);
// Of the pool's specification.
std::string file_name(const std::string& pool);
bool is_file_name(std::string_view name);
// The specification's text; `program` is what the hooks start.
std::string make_spec(const Pool& pool, const std::string& program);

}  // namespace vfb::cdi
