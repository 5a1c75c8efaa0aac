// SPDX-License-Identifier: GPL-2.0-or-later
#include "domain.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace vfb::libvirt {
namespace {

using ::testing::HasSubstr;

constexpr const char* kHostdev =
    "<hostdev mode='subsystem' type='pci' managed='no'><driver name='vfio'/><source>"
    "<address domain='0x0000' bus='0x01' slot='0x10' function='0x2'/></source>"
    "<address type='pci' domain='0x0000' bus='0x05' slot='0x00' function='0x0'/></hostdev>";

std::string domain(const std::string& metadata, const std::string& devices = kHostdev) {
    return fmt::format(
        "<domain type='qemu' id='7'><name>web &amp; more</name>"
        "<uuid>6b9b9ad4-4d5e-4f1c-9d3a-000000000001</uuid><metadata>"
        "<other:thing xmlns:other='urn:other' vlan='9'><function address='x'/></other:thing>{}"
        "</metadata><devices>{}</devices></domain>",
        metadata, devices);
}

std::string lease(const std::string& inside) {
    return fmt::format("<v:lease xmlns:v='{}'>{}</v:lease>", kNamespace, inside);
}

std::string refusal(const std::string& xml) {
    const auto parsed = parse_domain(xml);
    if (parsed) return "accepted";
    EXPECT_EQ(parsed.error().code, Code::invalid);
    return parsed.error().message();
}

TEST(Domain, WhatTheHostGivesIt) {
    const auto parsed = parse_domain(domain(
        "",
        std::string(kHostdev) +
            "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1'/></source></hostdev>"
            "<hostdev mode='subsystem' type='pci' managed='yes'><source>"
            "<address bus='2' slot='31' function='7'/></source></hostdev>"
            "<interface type='network'><source network='default'/></interface>"
            "<interface type='hostdev' managed='yes'><source>"
            "<address type='pci' domain='0x10000' bus='0xff' slot='0x00' function='0x0'/></source>"
            "</interface>"));
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(parsed->name, "web & more");
    EXPECT_EQ(parsed->uuid, "6b9b9ad4-4d5e-4f1c-9d3a-000000000001");
    EXPECT_FALSE(parsed->iommufd);
    ASSERT_EQ(parsed->functions.size(), 3U);
    EXPECT_EQ(parsed->functions[0].address, "0000:01:10.2");
    EXPECT_FALSE(parsed->functions[0].managed);
    EXPECT_FALSE(parsed->functions[0].attributes);
    EXPECT_EQ(parsed->functions[1].address, "0000:02:1f.7");
    EXPECT_TRUE(parsed->functions[1].managed);
    EXPECT_EQ(parsed->functions[2].address, "10000:ff:00.0");
    EXPECT_TRUE(parsed->functions[2].interface);
}

TEST(Domain, AttributesOfMetadata) {
    const auto parsed = parse_domain(domain(lease(
        "<!-- ours --><v:function address='0000:01:10.2' mac='02:00:00:00:00:01' vlan='5' qos='3' "
        "vlan-protocol='802.1ad' spoof-check='off' trust='on' max-tx-rate='100' "
        "link-state='enable'/>")));
    ASSERT_TRUE(parsed) << parsed.error().message();
    const auto& attributes = parsed->functions.front().attributes.value();
    EXPECT_EQ(attributes.mac, "02:00:00:00:00:01");
    EXPECT_EQ(attributes.vlan, 5);
    EXPECT_EQ(attributes.qos, 3);
    EXPECT_EQ(attributes.vlan_protocol, "802.1ad");
    EXPECT_EQ(attributes.spoof_check, false);
    EXPECT_EQ(attributes.trust, true);
    EXPECT_EQ(attributes.max_tx_rate, 100);
    EXPECT_EQ(attributes.link_state, "enable");
    EXPECT_FALSE(attributes.min_tx_rate);
}

TEST(Domain, ElementsOfAnotherNamespaceAreNotOurs) {
    const auto parsed = parse_domain(
        domain("<lease xmlns='https://vfbroker.io/libvirt/2'><function address='0000:01:10.2' "
               "vlan='5'/></lease><lease><function address='0000:01:10.2' vlan='5'/></lease>"));
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_FALSE(parsed->functions.front().attributes);
}

TEST(Domain, WhatOfOursIsNotKnownIsRefused) {
    const auto function = [](const std::string& attributes) {
        return refusal(domain(lease("<v:function address='0000:01:10.2' " + attributes + "/>")));
    };
    EXPECT_THAT(function("vlna='5'"), HasSubstr("vlna of 0000:01:10.2 is no attribute"));
    EXPECT_THAT(function("vlan='five'"), HasSubstr("vlan of 0000:01:10.2 is \"five\""));
    EXPECT_THAT(function("vlan=''"), HasSubstr("no number"));
    EXPECT_THAT(function("vlan='-1'"), HasSubstr("no number"));
    EXPECT_THAT(function("vlan='99999999999999999999'"), HasSubstr("no number"));
    EXPECT_THAT(function("trust='yes'"), HasSubstr("not on or off"));
    EXPECT_THAT(function("v:vlan='5'"), HasSubstr("in a namespace"));
    EXPECT_THAT(refusal(domain(lease("<v:vlan>5</v:vlan>"))), HasSubstr("<vlan> of <lease>"));
    EXPECT_THAT(refusal(domain(lease("<function xmlns=''/>"))), HasSubstr("is not known"));
    EXPECT_THAT(refusal(domain(lease("<v:function address='0000:01:10.4'/>"))),
                HasSubstr("which no <hostdev> of the domain has"));
    EXPECT_THAT(refusal(domain(lease("<v:function vlan='5'/>"))), HasSubstr("is \"\""));
    EXPECT_THAT(refusal(domain(lease("<v:function address='0000:01:10.2'/>"
                                     "<v:function address='0000:01:10.2'/>"))),
                HasSubstr("is there twice"));
}

TEST(Domain, AddressesThatAreNone) {
    const auto with = [](const std::string& address) {
        return refusal(domain(
            "", "<hostdev mode='subsystem' type='pci'><source>" + address + "</source></hostdev>"));
    };
    EXPECT_THAT(with(""), HasSubstr("no <address>"));
    EXPECT_THAT(with("<address bus='0x100' slot='0' function='0'/>"), HasSubstr("bus \"0x100\""));
    EXPECT_THAT(with("<address bus='1' slot='0x20' function='0'/>"), HasSubstr("slot \"0x20\""));
    EXPECT_THAT(with("<address bus='1' slot='0' function='-1'/>"), HasSubstr("function \"-1\""));
    EXPECT_THAT(with("<address bus='1' slot='0'/>"), HasSubstr("function \"\""));
    EXPECT_THAT(with("<address bus='../..' slot='0' function='0'/>"), HasSubstr("bus"));
}

TEST(Domain, WhatIsNoDomain) {
    EXPECT_THAT(refusal(""), HasSubstr("there is none"));
    EXPECT_THAT(refusal("domain"), HasSubstr("cannot read the domain's XML"));
    EXPECT_THAT(refusal("<domain>"), HasSubstr("line 1"));
    EXPECT_THAT(refusal("<network/>"), HasSubstr("not that of a <domain>"));
    EXPECT_THAT(refusal("<domain xmlns='urn:x'/>"), HasSubstr("not that of a <domain>"));
    EXPECT_THAT(refusal("<domain><name>web</name></domain>"), HasSubstr("no UUID"));
    EXPECT_THAT(refusal("<domain><name>w</name><uuid>../../../../../../../../../../../x</uuid>"
                        "</domain>"),
                HasSubstr("no UUID"));
    EXPECT_THAT(refusal(std::string(kMaxXml + 1, ' ')), HasSubstr("longer than"));
    EXPECT_NE(refusal(std::string(100000, '<')), "accepted");
    std::string deep = "<domain>";
    for (int i = 0; i < 100000; ++i) deep += "<a>";
    EXPECT_NE(refusal(deep), "accepted");
}

TEST(Domain, EntitiesAreRefusedAndNothingIsReadFromOutside) {
    const std::string body =
        "<domain><name>&e;</name><uuid>6b9b9ad4-4d5e-4f1c-9d3a-000000000001</uuid></domain>";
    EXPECT_NE(refusal("<!DOCTYPE domain [<!ENTITY e SYSTEM 'file:///etc/hostname'>]>" + body),
              "accepted");
    EXPECT_NE(refusal("<!DOCTYPE domain SYSTEM 'file:///etc/hostname'>" + body), "accepted");
    // A billion laughs, in text and in an attribute.
    std::string laughs = "<!DOCTYPE domain [<!ENTITY e 'ha'>";
    std::string before = "e";
    for (int i = 0; i < 12; ++i) {
        const std::string name = "e" + std::to_string(i);
        laughs += "<!ENTITY " + name + " '";
        for (int j = 0; j < 10; ++j) laughs += "&" + before + ";";
        laughs += "'>";
        before = name;
    }
    EXPECT_NE(refusal(laughs + "]><domain><name>&" + before + ";</name></domain>"), "accepted");
    EXPECT_NE(refusal(laughs + "]><domain a='&" + before + ";'/>"), "accepted");
}

}  // namespace
}  // namespace vfb::libvirt
