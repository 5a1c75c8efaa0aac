// SPDX-License-Identifier: LGPL-2.1-or-later
//
// io.vfbroker.List as values, read fast: a large host has thousands of functions.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "client/client.hpp"

namespace vfb::client {

// FunctionSummary of the interface; empty text where nothing is known.
struct FunctionSummary {
    std::string address;
    std::string ids;
    std::string device_class;
    std::string name;
    std::string driver;
    std::string netdevs;  // joined by commas
    std::optional<std::int64_t> group;
    std::optional<std::int64_t> numa_node;
    std::optional<std::int64_t> vfs;
    std::optional<std::int64_t> total_vfs;
    std::string physical_function;
    std::optional<std::int64_t> index;
    std::string pool;
    std::string state;
    std::optional<std::int64_t> lease;
};

// No vector: its growth would touch half of the memory that a long list costs.
using FunctionList = std::deque<FunctionSummary>;

// `managed`: without functions that are in no pool and no PF.
Result<FunctionList> list(Client& client, bool managed);
// The parameters of such a reply. Members it does not know are passed over.
Result<FunctionList> read_functions(std::string_view parameters);

}  // namespace vfb::client
