// SPDX-License-Identifier: GPL-2.0-or-later
#include "leases.hpp"

#include <gmock/gmock.h>

namespace vfb::libvirt {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kUuid = "6b9b9ad4-4d5e-4f1c-9d3a-000000000001";
constexpr const char* kVf0 = "0000:01:10.0";
constexpr const char* kVf1 = "0000:01:10.2";

HostFunction host(const std::string& address) {
    HostFunction function;
    function.address = address;
    return function;
}

Domain web(std::vector<HostFunction> functions) {
    return {.name = "web", .uuid = kUuid, .iommufd = false, .functions = std::move(functions)};
}

client::FunctionSummary known(const std::string& address, std::int64_t group) {
    client::FunctionSummary summary;
    summary.address = address;
    summary.group = group;
    summary.pool = "guests";
    return summary;
}

client::LeaseSummary lease_of(const std::string& owner, const std::string& guest) {
    return {.id = 3,
            .uid = 0,
            .pid = 9,
            .owner = owner,
            .guest = guest,
            .functions = {{.address = kVf0, .generation = 1}}};
}

const client::FunctionList kFunctions{known(kVf0, 7), known(kVf1, 8)};

TEST(Needed, OneLeaseForEachFunctionOfAPool) {
    const auto requests =
        needed(web({host(kVf0), host("0000:02:00.0"), host(kVf1)}), kFunctions, {});
    ASSERT_TRUE(requests) << requests.error().message();
    ASSERT_EQ(requests->size(), 2U);
    const auto& first = requests->front();
    EXPECT_EQ(first.pool, "guests");
    EXPECT_THAT(first.functions, ElementsAre(kVf0));
    EXPECT_EQ(first.guest, std::string("web (") + kUuid + ")");
    EXPECT_EQ(first.hand_off, "none");
    EXPECT_EQ(first.backend, "group");
    // Until it is handed over, whatever ends the hook ends the lease.
    EXPECT_EQ(first.owner, "connection");
}

TEST(Needed, FunctionsOfOneIommuGroupTogether) {
    const client::FunctionList same_group{known(kVf0, 7), known(kVf1, 7)};
    Domain domain = web({host(kVf0), host(kVf1)});
    const auto requests = needed(domain, same_group, {});
    ASSERT_TRUE(requests);
    ASSERT_EQ(requests->size(), 1U);
    EXPECT_THAT(requests->front().functions, ElementsAre(kVf0, kVf1));
    domain.functions[1].attributes.emplace().vlan = 5;
    const auto refused = needed(domain, same_group, {});
    EXPECT_THAT(refused.error().message(), HasSubstr("both are in IOMMU group 7"));
}

TEST(Needed, WhatLibvirtWouldDoAsWellIsRefused) {
    HostFunction managed = host(kVf0);
    managed.managed = true;
    EXPECT_THAT(needed(web({managed}), kFunctions, {}).error().hint, HasSubstr("managed='no'"));
    HostFunction interface = host(kVf0);
    interface.interface = true;
    EXPECT_THAT(needed(web({interface}), kFunctions, {}).error().message(),
                HasSubstr("<interface type='hostdev'>"));
    // Those of others are libvirt's to manage.
    managed.address = "0000:02:00.0";
    EXPECT_TRUE(needed(web({managed}), kFunctions, {}));
}

TEST(Needed, AttributesOfAFunctionThatIsInNoPool) {
    HostFunction function = host("0000:02:00.0");
    function.attributes.emplace().vlan = 5;
    EXPECT_THAT(needed(web({function}), kFunctions, {}).error().message(),
                HasSubstr("it is in no pool"));
}

TEST(Needed, ALeaseByHandIsLeftAlone) {
    const auto by_hand = lease_of("guest", "web");
    EXPECT_THAT(needed(web({host(kVf0)}), kFunctions, {by_hand}).value(), IsEmpty());
    HostFunction function = host(kVf0);
    function.attributes.emplace().vlan = 5;
    EXPECT_THAT(needed(web({function}), kFunctions, {by_hand}).error().hint,
                HasSubstr("vfbroker release 3"));
    auto of_a_user = by_hand;
    of_a_user.uid = 1000;
    EXPECT_EQ(needed(web({host(kVf0)}), kFunctions, {of_a_user})->size(), 1U);
}

TEST(KnownLeases, WhoseTheyAre) {
    const Domain domain = web({});
    EXPECT_TRUE(is_of(lease_of("process", guest_of(domain)), domain));
    // Renamed since.
    EXPECT_TRUE(is_of(lease_of("process", std::string("old (") + kUuid + ")"), domain));
    EXPECT_FALSE(is_of(lease_of("process", "web"), domain));
    EXPECT_FALSE(is_of(lease_of("guest", guest_of(domain)), domain));
    auto of_a_user = lease_of("process", guest_of(domain));
    of_a_user.uid = 1000;
    EXPECT_FALSE(is_of(of_a_user, domain));
}

TEST(KnownLeases, WhatIsMissing) {
    const Domain domain = web({host(kVf0), host(kVf1), host("0000:02:00.0")});
    EXPECT_THAT(unleased(domain, kFunctions, {lease_of("process", guest_of(domain))}),
                ElementsAre(kVf1));
}

}  // namespace
}  // namespace vfb::libvirt
