// SPDX-License-Identifier: GPL-2.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nic/vf_attributes.hpp"

namespace vfb::nic {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

VfAttributes everything() {
    VfAttributes all;
    all.mac = *MacAddress::parse("52:54:00:12:34:56");
    all.vlan = 100;
    all.qos = 3;
    all.vlan_protocol = VlanProtocol::dot1ad;
    all.spoof_check = false;
    all.trust = true;
    all.min_tx_rate = 10;
    all.max_tx_rate = 1000;
    all.link_state = LinkState::disable;
    all.rss_query = true;
    all.node_guid = Guid{0x0200'0000'0000'0001};
    all.port_guid = Guid{0x0200'0000'0000'0002};
    return all;
}

std::vector<std::string> all_names() {
    return {"mac",         "vlan",      "qos",         "vlan_protocol",
            "spoof_check", "trust",     "min_tx_rate", "max_tx_rate",
            "link_state",  "rss_query", "node_guid",   "port_guid"};
}

TEST(Attributes, OverlayTakesWhatIsSet) {
    const auto base = safe_defaults();
    EXPECT_EQ(overlay(base, {}), base);
    EXPECT_EQ(overlay({}, base), base);
    EXPECT_EQ(overlay(base, everything()), everything());
    VfAttributes none;
    none.vlan = 0;
    none.trust = false;
    auto expected = everything();
    expected.vlan = 0;
    expected.trust = false;
    EXPECT_EQ(overlay(everything(), none), expected) << "0 and false are values, not absence";
}

TEST(Attributes, SafeDefaultsAreAllButAddresses) {
    const auto names = names_of(safe_defaults());
    EXPECT_EQ(names.size(), all_names().size() - 3);
    for (const auto* own : {"mac", "node_guid", "port_guid"})
        EXPECT_EQ(std::ranges::count(names, own), 0) << own;
    EXPECT_EQ(safe_defaults().vlan, 0);
    EXPECT_EQ(safe_defaults().spoof_check, true);
    EXPECT_EQ(safe_defaults().trust, false);
    EXPECT_EQ(safe_defaults().link_state, LinkState::automatic);
}

TEST(Attributes, DifferingNamesThem) {
    EXPECT_THAT(differing({}, everything()), IsEmpty());
    EXPECT_THAT(differing(everything(), everything()), IsEmpty());
    EXPECT_EQ(differing(everything(), {}), all_names());
    auto one = everything();
    one.min_tx_rate = 11;
    EXPECT_THAT(differing(one, everything()), ElementsAre("min_tx_rate"));
}

TEST(Attributes, UnsetIsNotZero) {
    VfAttributes tagged;
    tagged.vlan = 100;
    VfAttributes zero;
    zero.vlan = 0;
    EXPECT_THAT(differing(zero, tagged), ElementsAre("vlan"));
    EXPECT_THAT(differing({}, tagged), IsEmpty());
    EXPECT_THAT(differing(zero, {}), ElementsAre("vlan"));
}

TEST(Attributes, TheProtocolOfNoVlanNeverDiffers) {
    VfAttributes wanted;
    wanted.vlan_protocol = VlanProtocol::dot1ad;
    VfAttributes actual;
    actual.vlan = 0;
    actual.vlan_protocol = VlanProtocol::dot1q;
    EXPECT_THAT(differing(wanted, actual), IsEmpty());
    wanted.vlan = 100;
    EXPECT_THAT(differing(wanted, actual), ElementsAre("vlan", "vlan_protocol"));
    wanted.vlan.reset();
    actual.vlan = 100;
    EXPECT_THAT(differing(wanted, actual), ElementsAre("vlan_protocol"));
}

TEST(Attributes, TextsGoBothWays) {
    VfAttributes rebuilt;
    for (const auto& name : names_of(everything())) {
        const auto text = value_text(everything(), name);
        ASSERT_TRUE(text) << name;
        ASSERT_TRUE(set_from_text(rebuilt, name, *text)) << name << " " << *text;
    }
    EXPECT_EQ(rebuilt, everything());
    EXPECT_EQ(value_text({}, "vlan"), std::nullopt);
    EXPECT_EQ(value_text(everything(), "colour"), std::nullopt);
    EXPECT_EQ(value_text(everything(), "vlan_protocol"), "802.1ad");
}

TEST(Attributes, InfosFollowTheNames) {
    std::vector<std::string> names;
    for (const auto& info : attribute_infos()) names.emplace_back(info.name);
    EXPECT_EQ(names, all_names());
}

TEST(Attributes, TextsAreStrict) {
    const std::pair<const char*, const char*> cases[] = {
        {"vlan", "4095"},
        {"vlan", "-1"},
        {"vlan", "65636"},
        {"vlan", "0x10"},
        {"vlan", ""},
        {"vlan", " 1"},
        {"vlan", "1 "},
        {"vlan", "1.0"},
        {"qos", "8"},
        {"qos", "263"},
        {"trust", "on"},
        {"trust", "1"},
        {"trust", "True"},
        {"link_state", "up"},
        {"vlan_protocol", "802.1q"},
        {"mac", "52-54-00"},
        {"max_tx_rate", "10G"},
        {"max_tx_rate", "2147483648"},
        {"min_tx_rate", "1e3"},
        {"max_tx_rate", "4294967296"},
        {"mac", "01:00:5e:00:00:01"},
        {"node_guid", "52:54:00:12:34:56"},
        {"port_guid", "0200000000000001"},
        {"rss_query", "on"},
    };
    for (const auto& [name, text] : cases) {
        auto attributes = everything();
        const auto set = set_from_text(attributes, name, text);
        ASSERT_FALSE(set) << name << " " << text;
        EXPECT_EQ(set.error().code, Code::invalid);
        EXPECT_THAT(set.error().message(), HasSubstr(name));
        EXPECT_EQ(attributes, everything()) << "nothing is changed";
    }
    VfAttributes attributes;
    const auto unknown = set_from_text(attributes, "vlam", "1");
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, Code::not_found);
}

TEST(Attributes, ValidateNamesTheCulprit) {
    EXPECT_TRUE(validate({}));
    EXPECT_TRUE(validate(everything()));
    EXPECT_TRUE(validate(safe_defaults()));
    VfAttributes bad;
    bad.mac = *MacAddress::parse("ff:ff:ff:ff:ff:ff");
    EXPECT_EQ(validate(bad).error().message(),
              "cannot set mac: ff:ff:ff:ff:ff:ff is not a unicast address like 52:54:00:12:34:56");
    bad = {};
    bad.vlan = 4095;
    EXPECT_EQ(validate(bad).error().message(),
              "cannot set vlan: 4095 is not a number from 0 to 4094 (0: no VLAN)");
    bad = {};
    bad.qos = 8;
    EXPECT_FALSE(validate(bad));
    bad = {};
    bad.min_tx_rate = 100;
    bad.max_tx_rate = 99;
    EXPECT_THAT(validate(bad).error().message(), HasSubstr("min_tx_rate"));
    bad.max_tx_rate = 0;
    EXPECT_TRUE(validate(bad)) << "0 is unlimited";
    bad.max_tx_rate = 0x80000000;
    EXPECT_THAT(validate(bad).error().message(), HasSubstr("max_tx_rate"));
}

TEST(Attributes, NamesOfValues) {
    EXPECT_EQ(vlan_protocol_from_string("802.1Q"), VlanProtocol::dot1q);
    EXPECT_EQ(vlan_protocol_from_string("802.1ad"), VlanProtocol::dot1ad);
    EXPECT_EQ(vlan_protocol_from_string("802.1AD"), std::nullopt);
    EXPECT_EQ(link_state_from_string("auto"), LinkState::automatic);
    EXPECT_EQ(link_state_from_string("enable"), LinkState::enable);
    EXPECT_EQ(link_state_from_string("disable"), LinkState::disable);
    EXPECT_EQ(link_state_from_string(""), std::nullopt);
}

}  // namespace
}  // namespace vfb::nic
