// SPDX-License-Identifier: GPL-2.0-or-later
//
// The part of Hardware that answers what other programs do to the PFs and VFs of pools.
#include <fmt/format.h>

#include <algorithm>

#include "hardware.hpp"
#include "log.hpp"

namespace vfb::daemon {
namespace {

using namespace std::chrono_literals;
using broker::DriftPolicy;

// Two programs that each restore what the other does would go on for ever.
constexpr std::size_t kMostRepairs = 5;
constexpr auto kPeriod = 60s;

}  // namespace

bool Hardware::repairs(const std::string& pf) const {
    const auto& pools = broker_.config().pools;
    const auto uses = [&](const broker::PoolConfig& pool) {
        return std::ranges::find(pool.pfs, pf) != pool.pfs.end();
    };
    return std::ranges::any_of(pools, uses) && std::ranges::all_of(pools, [&](const auto& pool) {
               return !uses(pool) || pool.drift == DriftPolicy::repair;
           });
}

bool Hardware::repairs_again(const std::string& subject) {
    const auto now = std::chrono::steady_clock::now();
    auto& times = repaired_[subject];
    std::erase_if(times, [&](const auto& time) { return now - time > kPeriod; });
    if (times.size() >= kMostRepairs) return false;
    times.push_back(now);
    return true;
}

void Hardware::on_drift(const broker::SlotKey& key, const std::string& what) {
    const broker::Slot* slot = broker_.find(key);
    if (slot == nullptr || !slot->address) return;
    const std::string where = slot->address->str();
    const auto* pool = broker_.config().pool_of(key.pf, key.index);
    const std::string operation = fmt::format("keep {} as it was", where);
    if (slot->lease) {
        Error error = fail(Code::failed, operation, where, what,
                           fmt::format("nothing is changed under lease {}; it is scrubbed when "
                                       "that ends",
                                       *slot->lease))
                          .error();
        if (slot->problem && slot->problem->message() == error.message()) return;
        log_error(error, Level::warning);
        return broker_.note(key, std::move(error));
    }
    const bool repair = pool != nullptr && pool->drift == DriftPolicy::repair;
    if (repair && repairs_again(key.str())) {
        log(Level::warning, "{}: {}; it is scrubbed again", where, what);
        return scrubber_.scrub(key);
    }
    Error error =
        fail(Code::failed, operation, where,
             repair ? fmt::format("{}, and has done so {} times in a minute", what, kMostRepairs)
                    : what,
             repair ? std::string("find that program and stop it, then vfbroker apply")
                    : fmt::format("vfbroker apply scrubs it again; with drift = \"repair\" in "
                                  "[pool.{}] that is done at once",
                                  slot->pool))
            .error();
    log_error(error, Level::warning);
    broker_.quarantine(key, std::move(error));
    scrubber_.announce();
}

bool Hardware::has_wrong_number(const std::string& name) const {
    const auto status = pfs_.find(name);
    const auto* pf = broker_.config().find_pf(name);
    if (status == pfs_.end() || !status->second.address || pf == nullptr) return false;
    const pci::Function* function = world_.find(*status->second.address);
    if (function == nullptr || !function->sriov || function->sriov->vfs.empty()) return false;
    return status->second.right == pf->vfs && function->sriov->vfs.size() != pf->vfs;
}

// True when something is done about it.
bool Hardware::repair_number(const std::string& name) {
    if (!repairs(name) || !repairs_again(name) || !on_wrong_number_) return false;
    const unsigned wanted = broker_.config().find_pf(name)->vfs;
    log(Level::warning, "another program changed the number of VFs of PF {}: it gets {} again",
        name, wanted);
    on_wrong_number_(name, wanted);
    return pfs_[name].state == PfStatus::State::applying;
}

}  // namespace vfb::daemon
