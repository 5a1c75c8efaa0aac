// SPDX-License-Identifier: GPL-2.0-or-later
#include "broker/limits.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <tuple>

#include "config_parse.hpp"
#include "nic/vf_attributes.hpp"
#include "pci/binding.hpp"

namespace vfb::broker {
namespace {

// The pools that have VFs of the PF.
std::vector<const PoolConfig*> pools_of(const Config& config, const PfConfig& pf) {
    std::vector<const PoolConfig*> pools;
    for (const auto& pool : config.pools)
        if (std::ranges::find(pool.pfs, pf.name) != pool.pfs.end()) pools.push_back(&pool);
    return pools;
}

class Judge {
public:
    Judge(const Config& config, const PfConfig& pf, const pci::Address& address,
          const PfLimits& limits)
        : config_(config), pf_(pf), address_(address), limits_(limits) {}

    std::vector<Refusal> judge() {
        look_at_number();
        look_at_mtu();
        look_at_switch();
        for (const auto* pool : pools_of(config_, pf_)) {
            look_at_driver(*pool);
            look_at_attributes(*pool);
        }
        std::ranges::stable_sort(refusals_, {}, [](const Refusal& refusal) {
            return std::tie(refusal.where.file, refusal.where.line, refusal.where.column);
        });
        return std::move(refusals_);
    }

private:
    void refuse(const Location& where, std::string operation, std::string reason,
                const std::string& hint) {
        refusals_.push_back(
            {.where = where,
             .error = fail(Code::unsupported, std::move(operation), address_.str(),
                           std::move(reason), fmt::format("{}, at {}", hint, where.str()))
                          .error()});
    }

    void look_at_number() {
        if (!limits_.vfs || pf_.vfs <= *limits_.vfs) return;
        refuse(pf_.place_of("vfs"), fmt::format("create {} VFs on {}", pf_.vfs, address_),
               fmt::format("it can have at most {}", *limits_.vfs),
               fmt::format("lower vfs of [pf.{}]", pf_.name));
    }

    void look_at_mtu() {
        if (!pf_.mtu) return;
        const auto& where = pf_.place_of("mtu");
        const auto operation = fmt::format("set the MTU of {} to {}", address_, *pf_.mtu);
        if (!limits_.has_netdev)
            return refuse(where, operation, "it has no network interface",
                          fmt::format("take mtu out of [pf.{}]", pf_.name));
        const auto least = limits_.least_mtu.value_or(0);
        const auto most = limits_.most_mtu.value_or(UINT32_MAX);
        if (*pf_.mtu >= least && *pf_.mtu <= most) return;
        refuse(where, operation,
               limits_.most_mtu ? fmt::format("its driver takes {} to {}", least, most)
                                : fmt::format("its driver takes {} and more", least),
               fmt::format("change mtu of [pf.{}]", pf_.name));
    }

    void look_at_switch() {
        if (!pf_.eswitch_mode || (limits_.has_netdev && !limits_.lacks(kEswitchMode))) return;
        refuse(pf_.place_of("eswitch_mode"),
               fmt::format("set the switch of {} to {} mode", address_,
                           nic::to_string(*pf_.eswitch_mode)),
               limits_.has_netdev ? "its driver has none that can be chosen"
                                  : "it has no network interface, and so no switch",
               fmt::format("take eswitch_mode out of [pf.{}]", pf_.name));
    }

    void look_at_driver(const PoolConfig& pool) {
        if (!pool.driver) return;
        const auto& where = pool.place_of("driver");
        const auto operation = fmt::format("bind VFs of {} to {}", address_, *pool.driver);
        if (!pci::is_vfio_driver(pool.driver))
            return refuse(where, operation, "it is no VFIO driver",
                          fmt::format("take driver out of [pool.{}]: the best one for the VF is "
                                      "chosen",
                                      pool.name));
        if (!limits_.drivers || limits_.drivers->contains(*pool.driver)) return;
        std::vector<std::string_view> known;
        for (const auto& driver : *limits_.drivers)
            if (pci::is_vfio_driver(driver)) known.push_back(driver);
        const auto meant = did_you_mean(*pool.driver, known);
        refuse(where, operation, "the kernel has no such driver now",
               meant.empty() ? fmt::format("modprobe {} if it is a module, or take driver out of "
                                           "[pool.{}]",
                                           *pool.driver, pool.name)
                             : fmt::format("driver of [pool.{}]: {}", pool.name, meant));
    }

    void look_at_attributes(const PoolConfig& pool) {
        for (const auto& info : nic::attribute_infos()) {
            const auto value = nic::value_text(pool.attributes, info.name);
            if (!value || !nic::asks_for_more(pool.attributes, info.name)) continue;
            const bool lacking = limits_.lacks(info.name);
            if (limits_.has_netdev && !lacking) continue;
            refuse(pool.place_of(fmt::format("attributes.{}", info.name)),
                   fmt::format("give VFs of {} {} {}", address_, info.name, *value),
                   lacking ? "the driver of their physical function does not have that attribute"
                           : "their physical function is no network interface",
                   fmt::format("take {} out of [pool.{}.attributes]", info.name, pool.name));
        }
    }

    const Config& config_;
    const PfConfig& pf_;
    const pci::Address& address_;
    const PfLimits& limits_;
    std::vector<Refusal> refusals_;
};

}  // namespace

std::vector<std::string> asked_attributes(const Config& config, const PfConfig& pf) {
    std::set<std::string> asked;
    for (const auto* pool : pools_of(config, pf))
        for (const auto& info : nic::attribute_infos())
            if (nic::asks_for_more(pool->attributes, info.name)) asked.emplace(info.name);
    if (pf.eswitch_mode) asked.emplace(kEswitchMode);
    return {asked.begin(), asked.end()};
}

std::vector<Refusal> refusals(const Config& config, const PfConfig& pf, const pci::Address& address,
                              const PfLimits& limits) {
    return Judge(config, pf, address, limits).judge();
}

std::optional<Error> refusal(const Config& config, const PfConfig& pf, const pci::Address& address,
                             const PfLimits& limits) {
    std::optional<Error> error;
    auto all = refusals(config, pf, address, limits);
    for (; !all.empty(); all.pop_back()) {
        Error before = std::move(all.back().error);
        if (error) before.cause = std::make_shared<const Error>(*std::move(error));
        error = std::move(before);
    }
    return error;
}

}  // namespace vfb::broker
