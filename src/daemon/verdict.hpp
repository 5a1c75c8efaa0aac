// SPDX-License-Identifier: GPL-2.0-or-later
//
// The verdict of Explain: whether a function can be leased, and if not why. Pure.
#pragma once

#include <string>
#include <vector>

#include "broker/broker.hpp"
#include "pci/function.hpp"
#include "proto/json.hpp"

namespace vfb::daemon {

// As io.vfbroker Verdict.
struct FunctionVerdict {
    bool leasable = false;
    std::string state;
    std::string text;
    std::string hint;
};

struct VerdictFacts {
    const pci::Function& function;
    const broker::Slot* slot = nullptr;        // absent: it is in nobody's hands
    const broker::PoolConfig* pool = nullptr;  // that the slot is in
    bool allowed = false;                      // whether the caller may lease from that pool
    std::string drained{};                     // what is drained, `pool:guests`; empty: nothing
    const broker::Lease* lease = nullptr;      // that holds it
    bool may_touch = false;                    // whether the caller may see and end that lease
    std::string owner{};                       // short name of the process that asked for it
    std::string refusal{};                     // why the IOMMU does not isolate it; empty: it does
    std::string refusal_hint{};
    std::vector<std::string> uses{};  // of the host
};

FunctionVerdict judge(const VerdictFacts& facts);
proto::Json to_json(const FunctionVerdict& verdict);

}  // namespace vfb::daemon
