// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "parameters.hpp"

namespace vfb::daemon {
namespace {

using testing::HasSubstr;

TEST(Wire, FunctionSurvivesTheWayThroughAWorker) {
    pci::Function f;
    f.address = {.domain = 0x10000, .bus = 0xff, .device = 31, .function = 7};
    f.vendor = 0x8086;
    f.device = 0x10c9;
    f.class_code = 0x020000;
    f.vendor_name = "Intel \"quoted\" \xc3\xa9";
    f.driver = "igb";
    f.netdevs = {{.name = "eth0", .ifindex = 3, .mac = "a", .permanent_mac = "b", .up = true}};
    f.numa_node = 1;
    f.group = 0;
    f.reset_method = "flr bus";
    pci::Bar bar;
    bar.index = 6;
    bar.address = ~0ULL;
    bar.size = 1ULL << 40;
    bar.prefetchable = true;
    bar.is_64bit = true;
    f.bars = {bar};
    f.parent = pci::Address{.domain = 0, .bus = 0, .device = 2, .function = 0};
    f.sriov.emplace();
    f.sriov->total = 7;
    f.sriov->vf_device = 0x10ca;
    f.sriov->ari = true;
    f.sriov->vfs = {f.address};
    const auto back = function_from_json(Json::parse(to_json(f).dump()));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, f);
    EXPECT_EQ(*function_from_json(to_json(pci::Function{})), pci::Function{});
}

TEST(Wire, AttributesKeepUnsetApartFromZero) {
    nic::VfAttributes a;
    a.vlan = 0;
    a.max_tx_rate = 0;
    a.trust = false;
    EXPECT_EQ(*attributes_from_json(to_json(a)), a);
    EXPECT_EQ(*attributes_from_json(Json()), nic::VfAttributes{});
    EXPECT_EQ(*attributes_from_json({{"vlan", nullptr}}), nic::VfAttributes{});
    a = {.mac = nic::MacAddress{{2, 1, 2, 3, 4, 5}},
         .vlan = 4094,
         .qos = 7,
         .vlan_protocol = nic::VlanProtocol::dot1ad,
         .spoof_check = true,
         .trust = true,
         .min_tx_rate = 1,
         .max_tx_rate = UINT32_MAX,
         .link_state = nic::LinkState::disable,
         .rss_query = true,
         .node_guid = nic::Guid{0xffff'ffff'ffff'ffff},
         .port_guid = nic::Guid{1}};
    EXPECT_EQ(*attributes_from_json(to_json(a)), a);
    a = {};
    a.node_guid = nic::Guid{};
    EXPECT_EQ(*attributes_from_json(to_json(a)), nic::VfAttributes{}) << "zeros are no GUID";
    a = {};
    a.mac = nic::MacAddress{};
    EXPECT_EQ(*attributes_from_json(to_json(a)), a) << "a VF that never was given one";
}

TEST(Wire, SettingsOfAPfSurvive) {
    EXPECT_EQ(pf_settings_from_json(to_json(PfSettings{})), PfSettings{});
    const PfSettings all{.mtu = 9000, .eswitch_mode = nic::EswitchMode::switchdev};
    EXPECT_EQ(pf_settings_from_json(to_json(all)), all);
}

TEST(Wire, BadAttributesAreNamed) {
    for (const auto& [json, name] : std::vector<std::pair<Json, std::string>>{
             {{{"vlan", 4095}}, "vlan"},
             {{{"vlan", -1}}, "vlan"},
             {{{"vlan", 1.5}}, "vlan"},
             {{{"vlan", "5"}}, "vlan"},
             {{{"qos", 8}}, "qos"},
             {{{"vlanProtocol", "802.1x"}}, "vlanProtocol"},
             {{{"trust", 1}}, "trust"},
             {{{"maxTxRate", 4294967296}}, "maxTxRate"},
             {{{"linkState", "up"}}, "linkState"},
             {{{"rssQuery", "on"}}, "rssQuery"},
             {{{"nodeGuid", "02:00:00:00:00:01"}}, "GUID"},
             {{{"portGuid", "00:00:00:00:00:00:00:00"}}, "all-zero"},
             {{{"mac", "01:00:5e:00:00:01"}}, "multicast"},
             {{{"mac", "00:00:00:00:00:00"}}, "all-zero"},
             {{{"mac", "02:00"}}, "02:00"},
             {{{"vlam", 5}}, "vlam"},
             {Json::array({1}), "object"},
         }) {
        const auto refused = asked_attributes_from_json(json);
        ASSERT_FALSE(refused) << json;
        EXPECT_EQ(refused.error().code, Code::invalid);
        EXPECT_THAT(refused.error().message(), HasSubstr(name));
    }
}

TEST(Wire, TextsOfFiles) {
    EXPECT_EQ(file_texts_from_json(Json()).value(), broker::FileTexts{});
    const auto texts =
        file_texts_from_json(Json::parse(R"([{"path": "a.toml", "text": ""}, {"path": "b.toml"},
                        {"path": "c.toml", "text": null}])"));
    EXPECT_EQ(
        texts.value(),
        (broker::FileTexts{{"a.toml", ""}, {"b.toml", std::nullopt}, {"c.toml", std::nullopt}}));
    // A misspelt `text` would be a file that is not there.
    for (const char* wrong :
         {"{}", "[1]", "[{}]", R"([{"text": ""}])", R"([{"path": 1}])",
          R"([{"path": "a.toml", "text": 1}])", R"([{"path": "a.toml", "txt": ""}])",
          R"([{"path": "a.toml", "text": "", "mode": 1}])"}) {
        const auto refused = file_texts_from_json(Json::parse(wrong));
        ASSERT_FALSE(refused) << wrong;
        EXPECT_EQ(refused.error().code, Code::invalid);
    }
}

TEST(Parameters, RefuseWhatIsWrongAndWhatIsUnknown) {
    const Json json{{"pool", "guests"}, {"count", 2}, {"odd", true}};
    {
        Parameters p(json);
        EXPECT_EQ(p.text("pool"), "guests");
        EXPECT_EQ(p.optional_number("count", 1, 5), 2U);
        EXPECT_EQ(p.fault(), "odd");
        EXPECT_TRUE(p.flag("odd", false));
        EXPECT_EQ(p.fault(), std::nullopt);
    }
    {
        Parameters p(json);
        EXPECT_EQ(p.optional_number("count", 3, 5), std::nullopt);
        EXPECT_EQ(p.fault(), "count");
    }
    {
        Parameters p(json);
        p.text("missing");
        EXPECT_EQ(p.fault(), "missing");
    }
}

}  // namespace
}  // namespace vfb::daemon
