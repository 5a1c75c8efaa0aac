// SPDX-License-Identifier: GPL-2.0-or-later
#include "broker/broker.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfb::broker {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto kConfig = R"(
[pf.uplink]
address = "0000:01:00.0"
vfs = 4
[pool.guests]
pf = "uplink"
vfs = "0-2"
allow_users = [1000]
allow_groups = [50]
memlock_max = "1GiB"
max_functions_per_user = 2
[pool.guests.attributes]
vlan = 10
[pool.other]
pf = "uplink"
vfs = "3"
)";

const vfio::Support kBoth{.iommufd = true, .group = true, .iommufd_reason = {}, .group_reason = {}};
const vfio::Support kGroupOnly{
    .iommufd = false, .group = true, .iommufd_reason = "no /dev/iommu", .group_reason = {}};
const Caller kRoot{.uid = 0, .gids = {0}, .process = {.pid = 10, .start_time = 1}};
const Caller kUser{.uid = 1000, .gids = {1000}, .process = {.pid = 11, .start_time = 2}};
const Caller kMember{.uid = 1001, .gids = {1001, 50}, .process = {.pid = 12, .start_time = 3}};
const Caller kStranger{.uid = 1002, .gids = {1002}, .process = {.pid = 13, .start_time = 4}};

pci::Address vf(unsigned index) {
    return {.domain = 0, .bus = 1, .device = 16, .function = static_cast<std::uint8_t>(index)};
}

class BrokerTest : public testing::Test {
protected:
    void SetUp() override {
        auto opened = Broker::open(*Store::open(":memory:"), 8ULL << 30);
        ASSERT_TRUE(opened);
        broker.emplace(std::move(*opened));
        auto config = parse_config(kConfig, "test.toml");
        ASSERT_TRUE(config) << config.error().message();
        broker->configure(*config);
        for (unsigned i = 0; i < 4; ++i) {
            EXPECT_TRUE(
                broker->locate({"uplink", static_cast<std::uint16_t>(i)}, vf(i), 20 + i, 0));
            clean(i);
        }
    }
    void clean(unsigned index) {
        nic::VfAttributes attributes = broker->default_attributes(key(index));
        attributes.mac = nic::MacAddress{{2, 0, 0, 0, 0, static_cast<std::uint8_t>(index)}};
        EXPECT_TRUE(broker->mark_clean(key(index), attributes));
    }
    static SlotKey key(unsigned index) { return {"uplink", static_cast<std::uint16_t>(index)}; }
    SlotState state(unsigned index) const { return broker->find(key(index))->state; }
    Result<Choice> choose(const Caller& caller, LeaseRequest request = {}) const {
        if (request.pool.empty()) request.pool = "guests";
        return broker->choose(request, caller, kBoth);
    }
    LeaseId take(const Caller& caller, unsigned count = 1) {
        LeaseRequest request;
        request.pool = "guests";
        request.count = count;
        auto choice = broker->choose(request, caller, kBoth);
        EXPECT_TRUE(choice) << choice.error().message();
        auto id = broker->begin(*choice, caller, 1);
        EXPECT_TRUE(id);
        return *id;
    }

    std::optional<Broker> broker;
};

TEST_F(BrokerTest, LeaseTakesSlotAndCountsGenerationUp) {
    const LeaseId id = take(kUser);
    EXPECT_EQ(state(0), SlotState::leased);
    EXPECT_EQ(broker->find(key(0))->generation, 1U);
    ASSERT_TRUE(broker->end(id));
    EXPECT_EQ(state(0), SlotState::preparing);
    // Not clean, so not leased: the next one gets another.
    const LeaseId next = take(kUser);
    EXPECT_EQ(broker->find_lease(next)->functions.front().slot, key(1));
    EXPECT_GT(next, id);
}

TEST_F(BrokerTest, ALeaseForAnotherProcessIsThatProcesss) {
    LeaseRequest request;
    request.pool = "guests";
    request.user = User{.uid = 1000, .process = {.pid = 99, .start_time = 9}};
    const auto choice = broker->choose(request, kRoot, kBoth);
    ASSERT_TRUE(choice);
    const auto id = broker->begin(*choice, kRoot, 1);
    ASSERT_TRUE(id);
    const Lease& lease = *broker->find_lease(*id);
    EXPECT_EQ(lease.owner.uid, 1000U);
    EXPECT_EQ(lease.owner.process, request.user->process);
    EXPECT_TRUE(Broker::may_touch(lease, kUser));
    EXPECT_FALSE(Broker::may_touch(lease, kMember));
    Caller administrator = kMember;
    administrator.administrator = true;
    EXPECT_TRUE(Broker::may_touch(lease, administrator));
    EXPECT_EQ(lease.owner.kind, OwnerKind::connection);
    ASSERT_TRUE(broker->settle(*id, {}, {}));
    ASSERT_TRUE(broker->transfer(*id, request.user->process));
    EXPECT_EQ(broker->find_lease(*id)->owner.kind, OwnerKind::process);
    EXPECT_EQ(broker->transfer(*id + 1, request.user->process).error().code, Code::not_found);
}

TEST_F(BrokerTest, BeforeAnythingIsBoundItIsBusyAndNotWithoutVfio) {
    const vfio::Support none{.iommufd = false,
                             .group = false,
                             .iommufd_reason = "not loaded",
                             .group_reason = "not loaded"};
    LeaseRequest request;
    request.pool = "guests";
    EXPECT_EQ(broker->choose(request, kUser, none).error().code, Code::unsupported);
    broker->mark_preparing(key(0));
    for (unsigned i = 1; i < 4; ++i)
        broker->quarantine(key(i), fail(Code::failed, "scrub it", {}, "no VFIO").error());
    EXPECT_EQ(broker->choose(request, kUser, none).error().code, Code::busy);
}

TEST_F(BrokerTest, WhatWasLostOnTheWayIsNotHandedOver) {
    const LeaseId id = take(kUser, 2);
    ASSERT_TRUE(broker->lose(key(1), fail(Code::lost, "use it", {}, "it was removed").error()));
    const auto settled = broker->settle(id, {}, {});
    ASSERT_FALSE(settled);
    EXPECT_EQ(settled.error().code, Code::lost);
    EXPECT_FALSE(broker->find_lease(id)->settled);
}

TEST_F(BrokerTest, EndedLeaseCannotEndAgain) {
    const LeaseId id = take(kUser);
    ASSERT_TRUE(broker->end(id));
    const auto again = broker->end(id);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Code::not_found);
}

TEST_F(BrokerTest, LateReleaseOfAnEarlierGenerationIsRefused) {
    const LeaseId id = take(kUser);
    const auto late = broker->end(id, 7);
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, Code::not_found);
    EXPECT_EQ(state(0), SlotState::leased);
    EXPECT_TRUE(broker->end(id, 1));
}

TEST_F(BrokerTest, WhoMayLease) {
    EXPECT_TRUE(choose(kRoot));
    EXPECT_TRUE(choose(kUser));
    EXPECT_TRUE(choose(kMember));
    const auto refused = choose(kStranger);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::denied);
    EXPECT_THAT(refused.error().hint, HasSubstr("test.toml:5"));
}

TEST_F(BrokerTest, QuotaOfAUser) {
    take(kUser, 2);
    const auto refused = choose(kUser);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::denied);
    EXPECT_TRUE(choose(kMember));
    EXPECT_TRUE(choose(kRoot));
}

TEST_F(BrokerTest, TenantsSetOnlyWhatThePoolLetsThem) {
    LeaseRequest request;
    request.attributes.trust = true;
    const auto refused = choose(kUser, request);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::denied);
    EXPECT_THAT(refused.error().message(), HasSubstr("trust"));
    EXPECT_TRUE(choose(kRoot, request));
    request.attributes = {};
    request.attributes.vlan = 0;  // "no VLAN" is a setting too, unset is not
    EXPECT_TRUE(choose(kUser, request));
}

TEST_F(BrokerTest, OnlyWhatDiffersIsWritten) {
    LeaseRequest request;
    request.attributes.vlan = 10;  // the pool's default
    EXPECT_TRUE(choose(kUser, request)->to_write.front().empty());
    request.attributes.vlan = 11;
    EXPECT_EQ(choose(kUser, request)->to_write.front().vlan, 11);
}

TEST_F(BrokerTest, CountsThatCannotBe) {
    LeaseRequest request;
    request.count = 1000;
    EXPECT_EQ(choose(kRoot, request).error().code, Code::exhausted);
    request.count = 0;
    EXPECT_EQ(choose(kRoot, request).error().code, Code::invalid);
    request.count = 2;
    request.attributes.mac = nic::MacAddress{{2, 0, 0, 0, 9, 9}};
    EXPECT_EQ(choose(kRoot, request).error().code, Code::invalid);
    request = {};
    request.pool = "gusts";
    const auto unknown = choose(kRoot, request);
    EXPECT_EQ(unknown.error().code, Code::not_found);
    EXPECT_EQ(unknown.error().hint, "pools: guests, other");
}

TEST_F(BrokerTest, DescriptorsOfALeaseFitIntoOneReply) {
    auto config = parse_config(
        "[pf.big]\naddress = \"0000:02:00.0\"\nvfs = 254\n[pool.guests]\npf = \"big\"\n",
        "test.toml");
    ASSERT_TRUE(config);
    broker->configure(*config);
    for (std::uint16_t i = 0; i < 254; ++i) {
        const SlotKey big{"big", i};
        const pci::Address address{.domain = 0,
                                   .bus = 2,
                                   .device = static_cast<std::uint8_t>(i / 8),
                                   .function = static_cast<std::uint8_t>(i % 8)};
        ASSERT_TRUE(broker->locate(big, address, 100 + i, 0));
        EXPECT_TRUE(broker->mark_clean(big, broker->default_attributes(big)));
    }
    const auto asked = [&](unsigned count, vfio::Backend backend, HandOff hand_off) {
        LeaseRequest request;
        request.count = count;
        request.backend = backend;
        request.hand_off = hand_off;
        return choose(kRoot, request);
    };
    using vfio::Backend;
    EXPECT_TRUE(asked(126, Backend::group, HandOff::descriptors));
    const auto groups = asked(127, Backend::group, HandOff::descriptors);
    ASSERT_FALSE(groups);
    EXPECT_EQ(groups.error().code, Code::invalid);
    EXPECT_EQ(groups.error().message(),
              "cannot lease 127 functions from pool guests: by the group backend that is 255 "
              "descriptors, and 253 fit into one reply");
    EXPECT_THAT(groups.error().hint, HasSubstr("`node`"));
    EXPECT_TRUE(asked(127, Backend::group, HandOff::node));
    EXPECT_TRUE(asked(252, Backend::iommufd, HandOff::descriptors));
    EXPECT_EQ(asked(253, Backend::iommufd, HandOff::descriptors).error().code, Code::invalid);
    LeaseRequest named;
    for (unsigned i = 0; i < 127; ++i)
        named.functions.push_back(*broker->find({"big", static_cast<std::uint16_t>(i)})->address);
    named.count = 127;
    named.backend = Backend::group;
    EXPECT_EQ(choose(kRoot, named).error().code, Code::invalid);
}

TEST_F(BrokerTest, BusyIsToldFromUnusable) {
    take(kRoot, 3);
    EXPECT_EQ(choose(kRoot).error().code, Code::busy);
    Error why;
    why.code = Code::not_viable;
    why.operation = "lease 0000:01:10.3";
    why.reason = "group 23 also holds 0000:01:00.0";
    broker->quarantine(key(3), why);
    LeaseRequest request;
    request.pool = "other";
    const auto refused = choose(kRoot, request);
    EXPECT_EQ(refused.error().code, Code::not_viable);
    EXPECT_THAT(refused.error().message(), HasSubstr("group 23 also holds"));
}

TEST_F(BrokerTest, FunctionsOfOneGroupGoTogetherOrNotAtAll) {
    broker->lose(key(0), {}).value();
    broker->lose(key(1), {}).value();
    broker->lose(key(2), {}).value();
    for (unsigned i = 0; i < 2; ++i) {
        broker->locate(key(i), vf(i), 5, 0);
        clean(i);
    }
    LeaseRequest request;
    const auto alone = choose(kRoot, request);
    ASSERT_FALSE(alone);
    EXPECT_EQ(alone.error().code, Code::not_viable);
    EXPECT_EQ(alone.error().hint, "ask for --count 2");
    request.count = 2;
    EXPECT_EQ(choose(kRoot, request)->slots.size(), 2U);
}

TEST_F(BrokerTest, FunctionsThatAreNamedAndNoOthers) {
    LeaseRequest request;
    request.pool = "guests";
    request.functions = {vf(1)};
    ASSERT_TRUE(choose(kRoot, request));
    EXPECT_THAT(choose(kRoot, request)->slots, testing::ElementsAre(key(1)));
    request.guest = "db";
    ASSERT_TRUE(broker->begin(*choose(kRoot, request), kRoot, 1));
    const auto leased = choose(kRoot, request);
    EXPECT_EQ(leased.error().code, Code::busy);
    EXPECT_THAT(leased.error().message(), HasSubstr("is leased: lease 1 of user 0 for db"));
    EXPECT_THAT(leased.error().hint, HasSubstr("vfbroker release 1"));
    const auto to_others = choose(kMember, request);
    EXPECT_EQ(to_others.error().message(),
              "cannot lease 0000:01:10.1 from pool guests: 0000:01:10.1 is leased: lease 1 of user "
              "0");
    EXPECT_EQ(to_others.error().hint, "take another function of pool guests (vfbroker list)");
    request.functions = {vf(0), vf(0)};
    request.count = 2;
    EXPECT_EQ(choose(kRoot, request).error().code, Code::invalid);
    request.functions = {*pci::Address::parse("0000:77:00.0")};
    EXPECT_EQ(choose(kRoot, request).error().code, Code::not_found);
    broker->mark_dirty(key(0), fail(Code::busy, "scrub", "0000:01:10.0", "held").error());
    request.functions = {vf(0)};
    request.count = 1;
    EXPECT_EQ(choose(kRoot, request).error().code, Code::busy);
    EXPECT_THAT(choose(kRoot, request).error().message(), HasSubstr("is dirty"));
}

TEST_F(BrokerTest, NamedFunctionsAreAWholeIommuGroup) {
    broker->lose(key(0), {}).value();
    broker->lose(key(1), {}).value();
    for (unsigned i = 0; i < 2; ++i) {
        broker->locate(key(i), vf(i), 5, 0);
        clean(i);
    }
    LeaseRequest request;
    request.functions = {vf(0)};
    const auto alone = choose(kRoot, request);
    EXPECT_EQ(alone.error().code, Code::not_viable);
    EXPECT_THAT(alone.error().hint, HasSubstr("name " + vf(1).str() + " as well"));
    request.functions = {vf(1), vf(0)};
    request.count = 2;
    EXPECT_THAT(choose(kRoot, request)->slots, testing::ElementsAre(key(1), key(0)));
}

TEST_F(BrokerTest, ALeaseIsHandedToAnotherProcess) {
    const LeaseId id = take(kRoot);
    const ProcessId qemu{.pid = 4711, .start_time = 42};
    ASSERT_TRUE(broker->transfer(id, qemu));
    EXPECT_EQ(broker->find_lease(id)->owner.kind, OwnerKind::process);
    EXPECT_EQ(broker->find_lease(id)->owner.process, qemu);
    EXPECT_EQ(broker->transfer(id + 1, qemu).error().code, Code::not_found);
}

TEST_F(BrokerTest, FunctionsOfOneNumaNodeArePreferred) {
    broker->locate(key(0), vf(0), 20, 0);
    broker->locate(key(1), vf(1), 21, 1);
    broker->locate(key(2), vf(2), 22, 1);
    LeaseRequest request;
    request.count = 2;
    EXPECT_THAT(choose(kRoot, request)->slots, testing::ElementsAre(key(1), key(2)));
}

TEST_F(BrokerTest, BackendFollowsRequestPoolAndKernel) {
    LeaseRequest request;
    request.pool = "guests";
    EXPECT_EQ(broker->choose(request, kRoot, kBoth)->backend, vfio::Backend::iommufd);
    EXPECT_EQ(broker->choose(request, kRoot, kGroupOnly)->backend, vfio::Backend::group);
    request.hand_off = HandOff::node;
    EXPECT_EQ(broker->choose(request, kRoot, kBoth)->backend, vfio::Backend::group);
    request.backend = vfio::Backend::iommufd;
    EXPECT_EQ(broker->choose(request, kRoot, kBoth).error().code, Code::invalid);
    request.hand_off = HandOff::descriptors;
    const auto missing = broker->choose(request, kRoot, kGroupOnly);
    EXPECT_EQ(missing.error().code, Code::unsupported);
    EXPECT_THAT(missing.error().message(), HasSubstr("no /dev/iommu"));
}

TEST_F(BrokerTest, MemoryLockIsBounded) {
    LeaseRequest request;
    EXPECT_EQ(choose(kUser, request)->memory_lock, 1ULL << 30);
    request.memory_lock = 4096;
    EXPECT_EQ(choose(kUser, request)->memory_lock, 4096U);
    request.memory_lock = 2ULL << 30;
    EXPECT_EQ(choose(kUser, request).error().code, Code::denied);
    EXPECT_TRUE(choose(kRoot, request));
    request.pool = "other";  // no bound of its own: the machine's memory
    request.memory_lock.reset();
    EXPECT_EQ(choose(kRoot, request)->memory_lock, 8ULL << 30);
}

TEST_F(BrokerTest, OneMacAddressForOneFunction) {
    const LeaseId id = take(kRoot);
    const auto mac = broker->find_lease(id)->functions.front().attributes.mac;
    LeaseRequest request;
    request.attributes.mac = mac;
    const auto refused = choose(kRoot, request);
    EXPECT_EQ(refused.error().code, Code::busy);
    EXPECT_THAT(refused.error().message(), HasSubstr("belongs to 0000:01:10.0 of lease 1"));
}

TEST_F(BrokerTest, AMacAddressIsTakenFromTheMomentItIsGranted) {
    LeaseRequest request;
    request.pool = "guests";
    request.attributes.mac = nic::MacAddress{{2, 0, 0, 0, 9, 9}};
    const auto first = choose(kRoot, request);
    ASSERT_TRUE(first);
    ASSERT_TRUE(choose(kRoot, request)) << "nothing is taken by choosing";
    ASSERT_TRUE(broker->begin(*first, kRoot, 1));
    EXPECT_EQ(choose(kRoot, request).error().code, Code::busy) << "though nothing is written yet";
}

TEST_F(BrokerTest, WhoAsksForAFunctionsOwnMacAddressGetsThatFunction) {
    LeaseRequest request;
    request.attributes.mac = broker->find(key(1))->attributes.mac;
    const auto choice = choose(kUser, request);
    ASSERT_TRUE(choice) << choice.error().message();
    EXPECT_THAT(choice->slots, testing::ElementsAre(key(1)));
    EXPECT_TRUE(choice->to_write.front().empty());
    // One of another pool, or not free, is somebody else's.
    request.attributes.mac = broker->find(key(3))->attributes.mac;
    EXPECT_THAT(choose(kUser, request).error().message(), HasSubstr("(pool other, clean)"));
    broker->mark_preparing(key(1));
    request.attributes.mac = broker->find(key(1))->attributes.mac;
    EXPECT_THAT(choose(kUser, request).error().message(), HasSubstr("(pool guests, preparing)"));
}

constexpr auto kLimits = R"(
[pf.second]
address = "0000:02:00.0"
vfs = 1
[pool.limited]
pf = "second"
allow_users = [1000]
tenant_may_set = ["mac", "vlan", "max_tx_rate", "min_tx_rate", "trust"]
[pool.limited.tenant_limits]
vlan = ["100-199", 300]
mac = ["52:54:00:*", "02:00:00:00:01:00/40"]
max_tx_rate = 1000
trust = false
)";

TEST_F(BrokerTest, TenantsStayInTheirLimits) {
    const auto config = parse_config(std::string(kConfig) + kLimits, "test.toml");
    ASSERT_TRUE(config) << config.error().message();
    broker->configure(*config);
    broker->locate({"second", 0}, vf(7), 40, 0);
    EXPECT_TRUE(broker->mark_clean({"second", 0}, {}));
    const auto ask = [&](const Caller& caller, const char* name, const char* value) {
        LeaseRequest request;
        request.pool = "limited";
        EXPECT_TRUE(nic::set_from_text(request.attributes, name, value));
        return choose(caller, request);
    };
    const std::pair<const char*, const char*> allowed[] = {
        {"vlan", "100"},        {"vlan", "199"},
        {"vlan", "300"},        {"mac", "52:54:00:ff:ff:ff"},
        {"max_tx_rate", "1"},   {"max_tx_rate", "1000"},
        {"trust", "false"},     {"mac", "02:00:00:00:01:ff"},
        {"min_tx_rate", "500"},
    };
    for (const auto& [name, value] : allowed)
        EXPECT_TRUE(ask(kUser, name, value)) << name << " " << value;
    const std::pair<const char*, const char*> denied[] = {
        {"vlan", "0"},
        {"vlan", "99"},
        {"vlan", "200"},
        {"max_tx_rate", "0"},
        {"max_tx_rate", "1001"},
        {"trust", "true"},
        {"mac", "02:00:00:00:02:00"},
        {"mac", "52:54:01:00:00:00"},
    };
    for (const auto& [name, value] : denied) {
        const auto refused = ask(kUser, name, value);
        ASSERT_FALSE(refused) << name << " " << value;
        EXPECT_EQ(refused.error().code, Code::denied);
        EXPECT_TRUE(ask(kRoot, name, value)) << "root may set all";
    }
    EXPECT_EQ(ask(kUser, "vlan", "200").error().message(),
              "cannot lease from pool limited: 200 is not among what the pool lets its users set "
              "vlan to: 100-199, 300");
    EXPECT_THAT(ask(kUser, "vlan", "200").error().hint, HasSubstr("test.toml:21"));
    EXPECT_THAT(ask(kUser, "max_tx_rate", "0").error().message(), HasSubstr("to: 1-1000"));
    // It alone is no VLAN, but it would change the protocol of the pool's.
    EXPECT_THAT(ask(kUser, "vlan_protocol", "802.1ad").error().message(),
                HasSubstr("does not let its users set vlan_protocol"));
}

TEST_F(BrokerTest, LossUnderALeaseIsRemembered) {
    const LeaseId id = take(kRoot);
    Error why;
    why.code = Code::lost;
    ASSERT_TRUE(broker->lose(key(0), why));
    EXPECT_TRUE(broker->find_lease(id)->functions.front().lost);
    EXPECT_EQ(state(0), SlotState::absent);
    EXPECT_EQ(broker->find_at(vf(0)), nullptr);
    // New hardware in the same place is nobody's.
    EXPECT_TRUE(broker->locate(key(0), vf(0), 20, 0));
    EXPECT_FALSE(broker->find(key(0))->lease);
    ASSERT_TRUE(broker->end(id));
    EXPECT_EQ(state(0), SlotState::preparing);
}

TEST_F(BrokerTest, ReconfigurationKeepsWhatIsLeased) {
    const LeaseId id = take(kRoot);
    EXPECT_THAT(broker->retire(), IsEmpty()) << "all are configured";
    broker->configure({});
    EXPECT_EQ(broker->retire().size(), 3U);
    EXPECT_EQ(state(0), SlotState::leased);
    EXPECT_EQ(broker->find(key(1)), nullptr);
    EXPECT_EQ(broker->find_at(vf(1)), nullptr);
    EXPECT_TRUE(broker->end(id));
    EXPECT_THAT(broker->retire(), IsEmpty()) << "its last owner's traces are still on it";
    EXPECT_TRUE(broker->mark_clean(key(0), {}));
    const auto retired = broker->retire();
    ASSERT_EQ(retired.size(), 1U);
    EXPECT_EQ(retired.front().address, vf(0));
}

TEST_F(BrokerTest, WhatIsConfiguredNoMoreIsLeasedToNobody) {
    Config fewer = broker->config();
    fewer.pfs.front().vfs = 1;
    broker->configure(fewer);
    LeaseRequest request;
    request.count = 2;
    EXPECT_EQ(choose(kRoot, request).error().code, Code::exhausted);
    EXPECT_TRUE(choose(kRoot, {}));
}

TEST_F(BrokerTest, OriginalsAreForgottenAndGenerationsAreNot) {
    ASSERT_TRUE(broker->remember_original(key(0), {.driver = "igbvf", .driver_override = ""}));
    ASSERT_TRUE(broker->end(take(kRoot)));
    ASSERT_TRUE(broker->remember_pf({.name = "uplink",
                                     .address = vf(0),
                                     .created_vfs = true,
                                     .found_vfs = {},
                                     .autoprobe = false,
                                     .was_up = false,
                                     .mtu = 1500,
                                     .eswitch_mode = nic::EswitchMode::switchdev}));
    const auto remembered = *broker->remembered_pfs();
    ASSERT_EQ(remembered.size(), 1U);
    EXPECT_FALSE(remembered.front().autoprobe);
    EXPECT_EQ(remembered.front().mtu, 1500U);
    EXPECT_EQ(remembered.front().eswitch_mode, nic::EswitchMode::switchdev);
    const Config config = broker->config();
    EXPECT_TRUE(broker->mark_clean(key(0), {}));
    broker->configure({});
    EXPECT_EQ(broker->retire().size(), 4U);
    ASSERT_TRUE(broker->forget_pf("uplink"));
    EXPECT_THAT(*broker->remembered_pfs(), IsEmpty());
    broker->configure(config);
    EXPECT_FALSE(broker->find(key(0))->original);
    EXPECT_EQ(broker->find(key(0))->generation, 1U);
}

TEST_F(BrokerTest, TheOriginalOfASlotThatIsConfiguredAgainIsFoundAnew) {
    ASSERT_TRUE(broker->remember_original(key(0), {.driver = "igbvf", .driver_override = ""}));
    ASSERT_TRUE(broker->forget_pf("uplink"));
    EXPECT_FALSE(broker->find(key(0))->original);
    ASSERT_TRUE(broker->remember_original(key(0), {.driver = {}, .driver_override = ""}));
    broker->configure(Config(broker->config()));
    ASSERT_TRUE(broker->find(key(0))->original);
    EXPECT_FALSE(broker->find(key(0))->original->driver);
}

TEST_F(BrokerTest, WhatIsDrainedIsNotLeased) {
    const auto pool = broker->find_target("guests");
    ASSERT_TRUE(pool);
    EXPECT_EQ(pool->str(), "pool:guests");
    const LeaseId id = take(kRoot);
    ASSERT_TRUE(broker->drain(*pool));
    EXPECT_EQ(broker->leases_of(*pool).front()->id, id);
    const auto refused = choose(kRoot);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::busy);
    EXPECT_THAT(refused.error().message(), HasSubstr("pool:guests is drained"));
    EXPECT_THAT(refused.error().hint, HasSubstr("vfbroker resume pool:guests"));
    LeaseRequest other;
    other.pool = "other";
    EXPECT_TRUE(choose(kRoot, other));
    ASSERT_TRUE(broker->drain(*broker->find_target("pf:uplink")));
    EXPECT_FALSE(choose(kRoot, other));
    ASSERT_TRUE(broker->resume(*pool));
    EXPECT_FALSE(choose(kRoot));
    ASSERT_TRUE(broker->resume(*broker->find_target("uplink")));
    EXPECT_TRUE(choose(kRoot));
    EXPECT_EQ(broker->find_target("none").error().code, Code::not_found);
    EXPECT_EQ(broker->find_target("pool:uplink").error().code, Code::not_found);
}

// [pf.uplink] is [pf.lan] now, and VF 0 is leased under the name before.
class RenamedPf : public BrokerTest {
protected:
    void SetUp() override {
        BrokerTest::SetUp();
        lease = take(kRoot);
        broker->set_places({.pf = [this](const std::string&) { return std::optional(at); },
                            .physfn = [](const pci::Address&) { return std::optional(kPf); }});
        rename();
    }
    void rename() {
        std::string text = kConfig;
        for (auto i = text.find("uplink"); i != std::string::npos; i = text.find("uplink"))
            text.replace(i, 6, "lan");
        broker->configure(*parse_config(text, "test.toml"));
    }
    const Slot& leased() const { return *broker->find(key(0)); }

    static constexpr pci::Address kPf{.domain = 0, .bus = 1, .device = 0, .function = 0};
    static constexpr pci::Address kOther{.domain = 0, .bus = 2, .device = 0, .function = 0};
    pci::Address at = kPf;  // where the kernel has the PFs of the configuration
    LeaseId lease = 0;
};

TEST_F(RenamedPf, IsDrainedOfLeasesUnderTheNameBefore) {
    const auto lan = *broker->find_target("lan");
    ASSERT_TRUE(broker->drain(lan));
    ASSERT_EQ(broker->leases_of(lan).size(), 1U);
    EXPECT_EQ(broker->leases_of(lan).front()->id, lease);
    EXPECT_TRUE(broker->concerns(lan, leased()));
    EXPECT_EQ(broker->drained_by(leased())->str(), "pf:lan");
    at = kOther;  // another PF of that name is none of its business
    EXPECT_THAT(broker->leases_of(lan), IsEmpty());
}

TEST_F(RenamedPf, KeepsWhatBelongsToItByTheDevice) {
    EXPECT_TRUE(broker->belongs(leased(), "lan"));
    EXPECT_TRUE(broker->belongs(leased(), "uplink"));
    // No name of the configuration: where it was says it.
    EXPECT_FALSE(broker->belongs(leased(), "wan"));
    EXPECT_TRUE(broker->belongs(leased(), "wan", kPf));
    EXPECT_FALSE(broker->belongs(leased(), "wan", kOther));
    // What was lost is no function of it any more.
    ASSERT_TRUE(broker->lose(key(0), fail(Code::lost, "use", "it", "it is gone").error()));
    EXPECT_FALSE(broker->belongs(leased(), "lan"));
}

TEST_F(RenamedPf, OneAddressUnderTwoNamesIsRetiredOnce) {
    const SlotKey other{"lan", 1};
    broker->locate(other, vf(1), 21, 0);  // uplink/1 is at rest there, too
    ASSERT_TRUE(broker->lose(other, fail(Code::lost, "use", "it", "it is gone").error()));
    EXPECT_EQ(broker->retire().size(), 3U);
    broker->locate(other, vf(1), 21, 0);
    EXPECT_EQ(broker->find_at(vf(1))->key, other);
}

TEST_F(BrokerTest, AResizeHoldsUntilTheConfigurationChanges) {
    ASSERT_TRUE(broker->begin_resize("uplink", 4, 6));
    EXPECT_NE(broker->unsettled_resize("uplink"), nullptr);
    EXPECT_EQ(broker->config().find_pf("uplink")->vfs, 4U);
    ASSERT_TRUE(broker->end_resize("uplink", true));
    EXPECT_EQ(broker->unsettled_resize("uplink"), nullptr);
    EXPECT_EQ(broker->config().find_pf("uplink")->vfs, 6U);
    // Undone, it is what it was: 6.
    ASSERT_TRUE(broker->begin_resize("uplink", 6, 2));
    ASSERT_TRUE(broker->end_resize("uplink", false));
    EXPECT_EQ(broker->config().find_pf("uplink")->vfs, 6U);
    auto same = parse_config(kConfig, "test.toml");
    broker->configure(*same);
    EXPECT_EQ(broker->config().find_pf("uplink")->vfs, 6U);
    same->pfs.front().vfs = 5;
    broker->configure(*same);
    EXPECT_EQ(broker->config().find_pf("uplink")->vfs, 5U);
    ASSERT_TRUE(broker->forget_resize("uplink"));
    EXPECT_TRUE(broker->resizes().empty());
    // Undone at the first time, nothing is left of it.
    ASSERT_TRUE(broker->begin_resize("uplink", 5, 7));
    ASSERT_TRUE(broker->end_resize("uplink", false));
    EXPECT_TRUE(broker->resizes().empty());
    EXPECT_EQ(broker->config().find_pf("uplink")->vfs, 5U);
}

TEST_F(BrokerTest, ACleanSlotOfAnotherPoolIsOutdated) {
    EXPECT_TRUE(broker->mark_clean(key(1), broker->default_attributes(key(1))));
    EXPECT_FALSE(broker->is_outdated(*broker->find(key(1))));
    Config changed = broker->config();
    changed.pools.front().attributes.vlan = 99;
    broker->configure(changed);
    EXPECT_TRUE(broker->is_outdated(*broker->find(key(1))));
}

TEST_F(BrokerTest, RootIsBoundByLimitsWhenItAsksForATenant) {
    LeaseRequest request;
    request.attributes.trust = true;
    EXPECT_TRUE(choose(kRoot, request));
    request.as_tenant = true;
    const auto refused = choose(kRoot, request);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::denied);
}

TEST(BrokerRestart, ANetdevIsKeptAndRemembered) {
    const std::string path = testing::TempDir() + "/netdev.db";
    std::remove(path.c_str());
    const auto config = parse_config(kConfig, "test.toml");
    const SlotKey first{"uplink", 0};
    LeaseId id = 0;
    {
        auto broker = Broker::open(*Store::open(path), 1 << 30);
        ASSERT_TRUE(broker);
        broker->configure(*config);
        broker->locate(first, vf(0), 20, 0);
        ASSERT_TRUE(broker->mark_clean(first, {}));
        LeaseRequest request;
        request.pool = "guests";
        request.guest = "web";
        request.hand_off = HandOff::netdev;
        id = *broker->begin(*broker->choose(request, kRoot, kBoth), kRoot, 77);
        EXPECT_TRUE(broker->find(first)->lent_netdev);
        ASSERT_TRUE(broker->settle(id, {}, {}));
        ASSERT_TRUE(broker->keep(id));
        EXPECT_FALSE(broker->keep(id + 1));
    }
    {
        auto broker = Broker::open(*Store::open(path), 1 << 30);
        ASSERT_TRUE(broker);
        broker->configure(*config);
        ASSERT_NE(broker->find_lease(id), nullptr);
        EXPECT_EQ(broker->find_lease(id)->owner.kind, OwnerKind::guest);
        EXPECT_EQ(broker->find_lease(id)->hand_off, HandOff::netdev);
        ASSERT_TRUE(broker->end(id));
        // The original is found later than that, and takes nothing of it.
        ASSERT_TRUE(broker->remember_original(first, {.driver = "igbvf", .driver_override = ""}));
    }
    // A daemon that dies between the end of the lease and the scrub still knows whose it was.
    auto broker = Broker::open(*Store::open(path), 1 << 30);
    ASSERT_TRUE(broker);
    broker->configure(*config);
    EXPECT_TRUE(broker->find(first)->lent_netdev);
    broker->locate(first, vf(0), 20, 0);
    ASSERT_TRUE(broker->mark_clean(first, {}));
    EXPECT_FALSE(broker->find(first)->lent_netdev);
    EXPECT_FALSE(broker->remembered_slots().at(first).lent_netdev);
}

TEST(BrokerRestart, DrainsAndResizesAreKept) {
    const std::string path = testing::TempDir() + "/drained.db";
    std::remove(path.c_str());
    const auto config = parse_config(kConfig, "test.toml");
    {
        auto broker = Broker::open(*Store::open(path), 1 << 30);
        ASSERT_TRUE(broker);
        broker->configure(*config);
        ASSERT_TRUE(broker->drain(*broker->find_target("guests")));
        ASSERT_TRUE(broker->begin_resize("uplink", 4, 7));
    }
    auto broker = Broker::open(*Store::open(path), 1 << 30);
    ASSERT_TRUE(broker);
    broker->configure(*config);
    EXPECT_EQ(broker->drained().size(), 1U);
    ASSERT_NE(broker->unsettled_resize("uplink"), nullptr);
    EXPECT_EQ(broker->unsettled_resize("uplink")->to, 7U);
    EXPECT_EQ(broker->config().find_pf("uplink")->vfs, 4U);
}

// The next daemon has the lease under that name, and no place of its slot.
TEST(BrokerRestart, ALeaseUnderTheNameBeforeIsThePfs) {
    const std::string path = testing::TempDir() + "renamed.db";
    ::unlink(path.c_str());
    const pci::Address pf{.domain = 0, .bus = 1, .device = 0, .function = 0};
    const auto config = parse_config(kConfig, "test.toml");
    {
        auto broker = Broker::open(*Store::open(path), 1ULL << 30);
        broker->configure(*config);
        broker->locate({"uplink", 0}, vf(0), 20, 0);
        ASSERT_TRUE(broker->mark_clean({"uplink", 0}, {}));
        LeaseRequest request;
        request.pool = "guests";
        ASSERT_TRUE(broker->begin(*broker->choose(request, kRoot, kBoth), kRoot, 1));
    }
    auto broker = Broker::open(*Store::open(path), 1ULL << 30);
    broker->set_places({.pf = [&](const std::string&) { return std::optional(pf); },
                        .physfn = [&](const pci::Address&) { return std::optional(pf); }});
    broker->configure(
        *parse_config("[pf.lan]\naddress = \"0000:01:00.0\"\nvfs = 4\n"
                      "[pool.guests]\npf = \"lan\"\n",
                      "test.toml"));
    const Slot& slot = *broker->find({"uplink", 0});
    EXPECT_FALSE(slot.address);
    EXPECT_EQ(broker->function_of(slot), vf(0));
    EXPECT_EQ(broker->leases_of(*broker->find_target("lan")).size(), 1U);
    ::unlink(path.c_str());
}

TEST(BrokerRestart, PromisesAreKept) {
    const std::string path = testing::TempDir() + "/state.db";
    std::remove(path.c_str());
    const auto config = parse_config(kConfig, "test.toml");
    LeaseId id = 0;
    {
        auto broker = Broker::open(*Store::open(path), 1 << 30);
        ASSERT_TRUE(broker);
        broker->configure(*config);
        broker->locate({"uplink", 0}, vf(0), 20, 0);
        ASSERT_TRUE(
            broker->remember_original({"uplink", 0}, {.driver = "igbvf", .driver_override = ""}));
        EXPECT_TRUE(broker->mark_clean({"uplink", 0}, {}));
        LeaseRequest request;
        request.pool = "guests";
        request.owner = OwnerKind::process;
        id = *broker->begin(*broker->choose(request, kUser, kBoth), kUser, 77);
        nic::VfAttributes written;
        written.vlan = 9;
        written.rss_query = true;
        written.port_guid = nic::Guid{7};
        const LentNode node{.path = "vfio/5", .original = {.uid = 3, .gid = 4, .mode = 0640}};
        ASSERT_TRUE(broker->settle(id, {node}, {written}));
    }
    auto broker = Broker::open(*Store::open(path), 1 << 30);
    ASSERT_TRUE(broker);
    broker->configure(*config);
    const Lease* lease = broker->find_lease(id);
    ASSERT_NE(lease, nullptr);
    EXPECT_TRUE(lease->settled);
    EXPECT_EQ(lease->since, 77);
    EXPECT_EQ(lease->owner.kind, OwnerKind::process);
    EXPECT_EQ(lease->owner.process, kUser.process);
    EXPECT_EQ(lease->nodes.front().original, (Dir::Owner{.uid = 3, .gid = 4, .mode = 0640}));
    EXPECT_EQ(lease->functions.front().attributes.vlan, 9);
    EXPECT_EQ(lease->functions.front().attributes.rss_query, true);
    EXPECT_EQ(lease->functions.front().attributes.node_guid, std::nullopt);
    EXPECT_EQ(lease->functions.front().attributes.port_guid, nic::Guid{7});
    EXPECT_EQ(broker->find({"uplink", 0})->attributes.vlan, 9);
    EXPECT_EQ(broker->find({"uplink", 0})->state, SlotState::leased);
    EXPECT_EQ(broker->find({"uplink", 0})->original->driver, "igbvf");
    // Found where it was, it is still leased; elsewhere it would be other hardware.
    EXPECT_FALSE(broker->locate({"uplink", 0}, vf(0), 20, 0));
    ASSERT_TRUE(broker->end(id));
    EXPECT_TRUE(broker->mark_clean({"uplink", 0}, {}));
    LeaseRequest request;
    request.pool = "guests";
    const auto next = broker->begin(*broker->choose(request, kUser, kBoth), kUser, 78);
    EXPECT_GT(*next, id);
    EXPECT_EQ(broker->find({"uplink", 0})->generation, 2U);
}

TEST(BrokerRestart, LeasesOfOneConnectionKnowEachOther) {
    const std::string path = testing::TempDir() + "/connections.db";
    std::remove(path.c_str());
    const auto config = parse_config(kConfig, "test.toml");
    LeaseRequest request;
    request.pool = "guests";
    std::vector<LeaseId> ids;
    {
        auto broker = Broker::open(*Store::open(path), 1 << 30);
        ASSERT_TRUE(broker);
        broker->configure(*config);
        for (std::uint16_t i = 0; i < 3; ++i) {
            broker->locate({"uplink", i}, vf(i), 20U + i, 0);
            EXPECT_TRUE(broker->mark_clean({"uplink", i}, {}));
            if (i == 1) request.connection = ids.front();
            if (i == 2) request.owner = OwnerKind::process;
            ids.push_back(*broker->begin(*broker->choose(request, kRoot, kBoth), kRoot, 77));
        }
        ASSERT_TRUE(broker->end(ids[0]));
    }
    auto broker = Broker::open(*Store::open(path), 1 << 30);
    ASSERT_TRUE(broker);
    EXPECT_EQ(broker->find_lease(ids[1])->owner.connection, ids[0]);
    EXPECT_EQ(broker->find_lease(ids[2])->owner.connection, 0);
    ASSERT_TRUE(broker->keep(ids[1]));
    EXPECT_EQ(broker->find_lease(ids[1])->owner.connection, 0);
}

TEST(Store, RefusesWhatIsNotItsOwn) {
    const std::string path = testing::TempDir() + "/garbage.db";
    {
        FILE* file = std::fopen(path.c_str(), "w");
        std::fputs("this is no database, and long enough to be looked at as one", file);
        for (int i = 0; i < 1000; ++i) std::fputs("garbage ", file);
        std::fclose(file);
    }
    const auto store = Store::open(path);
    ASSERT_FALSE(store);
    EXPECT_THAT(store.error().message(), HasSubstr("state database"));
    EXPECT_THAT(store.error().hint, HasSubstr("remove the file"));
    EXPECT_FALSE(Store::open("/nonexistent/state.db"));
}

}  // namespace
}  // namespace vfb::broker
