// SPDX-License-Identifier: GPL-2.0-or-later
#include "broker/policy.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "base/size.hpp"

namespace vfb::broker {
namespace {

template <class List>
std::string list_of(const List& list) {
    return list.empty() ? "none" : fmt::format("{}", fmt::join(list, ", "));
}

std::string memlock_of(const PoolConfig& pool) {
    if (!pool.memlock_max) return "the machine's memory";
    return *pool.memlock_max == kUnlimited ? "unlimited" : readable_size(*pool.memlock_max);
}

std::string limits_of(const PoolConfig& pool) {
    std::vector<std::string> limits;
    limits.reserve(pool.tenant_limits.size());
    for (const TenantLimit& limit : pool.tenant_limits)
        limits.push_back(fmt::format("{} {}", limit.attribute, limit.str()));
    return limits.empty() ? "none" : fmt::format("{}", fmt::join(limits, "; "));
}

std::string quota_of(const PoolConfig& pool) {
    return pool.max_functions_per_user == 0 ? "none" : std::to_string(pool.max_functions_per_user);
}

// One row for each key of a pool that is policy; two values are the same when they read the same.
struct Policy {
    const char* property;
    std::string (*text)(const PoolConfig&);
};
constexpr std::array<Policy, 9> kPolicies{{
    {"allow_users", [](const PoolConfig& pool) { return list_of(pool.allow_users); }},
    {"allow_groups", [](const PoolConfig& pool) { return list_of(pool.allow_groups); }},
    {"tenant_may_set", [](const PoolConfig& pool) { return list_of(pool.tenant_may_set); }},
    {"tenant_limits", limits_of},
    {"max_functions_per_user", quota_of},
    {"memlock_max", memlock_of},
    {"backend", [](const PoolConfig& pool) { return std::string(to_string(pool.backend)); }},
    {"reset", [](const PoolConfig& pool) { return std::string(to_string(pool.reset)); }},
    {"drift", [](const PoolConfig& pool) { return std::string(to_string(pool.drift)); }},
}};

}  // namespace

std::vector<Change> policy_changes(const Config& in_force, const Config& wanted) {
    std::vector<Change> changes;
    for (const PoolConfig& pool : wanted.pools) {
        const PoolConfig* const now = in_force.find_pool(pool.name);
        if (now == nullptr) continue;
        for (const Policy& policy : kPolicies) {
            std::string from = policy.text(*now);
            std::string to = policy.text(pool);
            if (from == to) continue;
            std::string text = fmt::format("{} {} -> {}", policy.property, from, to);
            changes.push_back({.action = Change::Action::change,
                               .subject = pool.name,
                               .slot = {},
                               .address = {},
                               .property = policy.property,
                               .from = std::move(from),
                               .to = std::move(to),
                               .text = std::move(text)});
        }
    }
    return changes;
}

}  // namespace vfb::broker
