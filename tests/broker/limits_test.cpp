// SPDX-License-Identifier: GPL-2.0-or-later
#include "broker/limits.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/store.hpp"

namespace vfb::broker {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const pci::Address kPf{.domain = 0, .bus = 1, .device = 0, .function = 0};

Config parse(const std::string& pf, const std::string& pool = "",
             const std::string& attributes = "") {
    const auto config =
        parse_config("[pf.uplink]\nslot = '1'\n" + pf + "\n[pool.guests]\npf = 'uplink'\n" + pool +
                         "\n[pool.guests.attributes]\n" + attributes + "\n",
                     "x.toml");
    EXPECT_TRUE(config) << config.error().message();
    return *config;
}

// igb, as it is on the emulated machine.
PfLimits igb() {
    return {.vfs = 7,
            .has_netdev = true,
            .least_mtu = 68,
            .most_mtu = 9216,
            .lacking = {"link_state"},
            .drivers = std::set<std::string>{"igb", "igbvf", "vfio-pci"}};
}

std::vector<std::string> messages(const Config& config, const PfLimits& limits) {
    std::vector<std::string> all;
    for (const auto& [where, error] : refusals(config, config.pfs[0], kPf, limits)) {
        EXPECT_EQ(error.code, Code::unsupported);
        EXPECT_THAT(error.hint, HasSubstr(where.str()));
        all.push_back(where.str() + " " + error.message());
    }
    return all;
}

TEST(Limits, WhatCanBeIsNotRefused) {
    EXPECT_THAT(messages(parse("vfs = 7\nmtu = 9216\neswitch_mode = 'legacy'",
                               "driver = 'vfio-pci'", "vlan = 5"),
                         igb()),
                IsEmpty());
    EXPECT_THAT(
        messages(parse("vfs = 7\nmtu = 68", "driver = 'auto'", "link_state = 'auto'"), igb()),
        IsEmpty());
}

TEST(Limits, WhatIsNotKnownRefusesNothing) {
    EXPECT_THAT(messages(parse("vfs = 65535\nmtu = 65535", "driver = 'odd-vfio-pci'",
                               "link_state = 'enable'"),
                         PfLimits{}),
                IsEmpty());
}

TEST(Limits, MoreThanTheMachineCan) {
    EXPECT_THAT(
        messages(parse("vfs = 16\nmtu = 9217", "driver = 'vfio_pci'", "link_state = 'enable'"),
                 igb()),
        ElementsAre("x.toml:3:7 cannot create 16 VFs on 0000:01:00.0: it can have at most 7",
                    "x.toml:4:7 cannot set the MTU of 0000:01:00.0 to 9217: its driver takes 68 to "
                    "9216",
                    "x.toml:7:10 cannot bind VFs of 0000:01:00.0 to vfio_pci: the kernel has no "
                    "such driver now",
                    "x.toml:9:14 cannot give VFs of 0000:01:00.0 link_state enable: the driver of "
                    "their physical function does not have that attribute"));
}

TEST(Limits, HintsSayWhatToDo) {
    const auto hint = [](const Config& config) {
        const auto error = refusal(config, config.pfs[0], kPf, igb());
        return error ? error->hint : "";
    };
    EXPECT_EQ(hint(parse("vfs = 16")), "lower vfs of [pf.uplink], at x.toml:3:7");
    EXPECT_EQ(hint(parse("vfs = 1", "driver = 'vfio_pci'")),
              "driver of [pool.guests]: did you mean 'vfio-pci'?, at x.toml:6:10");
    EXPECT_EQ(hint(parse("vfs = 1", "driver = 'mlx5_vfio_pci'")),
              "modprobe mlx5_vfio_pci if it is a module, or take driver out of [pool.guests], at "
              "x.toml:6:10");
    EXPECT_EQ(
        hint(parse("vfs = 1", "driver = 'igbvf'")),
        "take driver out of [pool.guests]: the best one for the VF is chosen, at x.toml:6:10");
}

TEST(Limits, AFunctionThatIsNoNicHasNoAttributes) {
    PfLimits nvme;
    nvme.has_netdev = false;
    EXPECT_THAT(
        messages(parse("vfs = 1\nmtu = 1500\neswitch_mode = 'legacy'", "", "vlan = 5"), nvme),
        ElementsAre(HasSubstr("it has no network interface"),
                    HasSubstr("no network interface, and so no switch"),
                    HasSubstr("their physical function is no network interface")));
    // What every VF has anyway.
    EXPECT_THAT(messages(parse("vfs = 1", "", "vlan = 0\nspoof_check = true"), nvme), IsEmpty());
}

TEST(Limits, TheOthersAreCausesOfTheFirst) {
    const auto config = parse("vfs = 16\nmtu = 9217");
    const auto error = refusal(config, config.pfs[0], kPf, igb());
    ASSERT_TRUE(error);
    EXPECT_THAT(error->operation, HasSubstr("create 16 VFs"));
    ASSERT_NE(error->cause, nullptr);
    EXPECT_THAT(error->cause->operation, HasSubstr("set the MTU"));
}

TEST(Limits, OnlyAttributesThatAreNoDefaultsAreAskedAbout) {
    const auto config =
        parse("vfs = 1", "", "link_state = 'auto'\nvlan = 5\nqos = 0\ntrust = true");
    EXPECT_THAT(asked_attributes(config, config.pfs[0]), ElementsAre("trust", "vlan"));
    const auto with_switch = parse("vfs = 1\neswitch_mode = 'legacy'", "", "");
    EXPECT_THAT(asked_attributes(with_switch, with_switch.pfs[0]), ElementsAre("eswitch_mode"));
}

TEST(Limits, ADriverWithoutASwitchIsAskedForNoMode) {
    auto limits = igb();
    limits.lacking = {"eswitch_mode"};
    EXPECT_THAT(messages(parse("vfs = 1\neswitch_mode = 'switchdev'"), limits),
                ElementsAre(AllOf(HasSubstr("to switchdev mode"),
                                  HasSubstr("its driver has none that can be chosen"))));
}

TEST(LastGood, IsKeptWholeAndToldFromNone) {
    auto store = Store::open(":memory:");
    ASSERT_TRUE(store);
    EXPECT_EQ(store->configuration().value(), std::nullopt);
    ASSERT_TRUE(store->put_configuration({}));
    EXPECT_EQ(store->configuration().value(), ConfigTexts{});
    const ConfigTexts texts{{"/etc/vfbroker/a.toml", ""}, {"/etc/vfbroker/b.toml", "vfs = 'ü'\n"}};
    ASSERT_TRUE(store->put_configuration(texts));
    EXPECT_EQ(store->configuration().value(), texts);
}

}  // namespace
}  // namespace vfb::broker
