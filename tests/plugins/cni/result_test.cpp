// SPDX-License-Identifier: GPL-2.0-or-later
#include "result.hpp"

#include <gtest/gtest.h>

namespace vfb::cni {
namespace {

using proto::Json;

Json parse(const char* text) {
    return Json::parse(text);
}

const Attachment kAttachment{
    .ifname = "net1",
    .netns = "/run/netns/a",
    .address = "0000:01:10.0",
    .link = {.ifindex = 4, .mac = "02:00:00:00:00:01", .mtu = 1500, .up = true}};

Config of_version(const std::string& version) {
    Config config;
    config.version = version;
    return config;
}

Addressing both() {
    return *read_addressing(parse(
        R"({"ips":[{"version":"4","address":"10.0.0.2/24","gateway":"10.0.0.1"},
                   {"address":"fd00::2/64"}],
            "routes":[{"dst":"0.0.0.0/0"},{"dst":"fd01::/64"},
                      {"dst":"10.9.0.0/16","gw":"10.0.0.9","priority":7,"mtu":1400},
                      {"dst":"10.8.0.0/16","scope":253,"table":5,"advmss":1300}],
            "dns":{"nameservers":["10.0.0.1"]}})"));
}

TEST(Result, HasWhatItsVersionHas) {
    const auto newest = make_result(of_version("1.1.0"), kAttachment, both());
    EXPECT_EQ(newest["interfaces"][0],
              parse(R"({"name":"net1","mac":"02:00:00:00:00:01","sandbox":"/run/netns/a",
                        "mtu":1500,"pciID":"0000:01:10.0"})"));
    EXPECT_EQ(newest["ips"][0],
              parse(R"({"address":"10.0.0.2/24","gateway":"10.0.0.1","interface":0})"));
    EXPECT_EQ(newest["dns"], parse(R"({"nameservers":["10.0.0.1"]})"));
    const auto middle = make_result(of_version("1.0.0"), kAttachment, both());
    EXPECT_FALSE(middle["interfaces"][0].contains("pciID"));
    EXPECT_FALSE(middle["ips"][0].contains("version"));
    const auto old = make_result(of_version("0.4.0"), kAttachment, both());
    EXPECT_EQ(old["cniVersion"], "0.4.0");
    EXPECT_EQ(old["ips"][0]["version"], "4");
    EXPECT_EQ(old["ips"][1]["version"], "6");
}

TEST(Result, HasTheRoutesOfItsVersion) {
    const auto newest = make_result(of_version("1.1.0"), kAttachment, both());
    EXPECT_EQ(newest["routes"][2],
              parse(R"({"dst":"10.9.0.0/16","gw":"10.0.0.9","priority":7,"mtu":1400})"));
    EXPECT_EQ(newest["routes"][3],
              parse(R"({"dst":"10.8.0.0/16","scope":253,"table":5,"advmss":1300})"));
    const auto middle = make_result(of_version("1.0.0"), kAttachment, both());
    EXPECT_EQ(middle["routes"][2], parse(R"({"dst":"10.9.0.0/16","gw":"10.0.0.9"})"));
    EXPECT_EQ(middle["routes"][3], parse(R"({"dst":"10.8.0.0/16"})"));
}

TEST(Result, HasTheDnsOfTheNetworkBeforeThatOfIpam) {
    auto config = of_version("1.0.0");
    config.dns = parse(R"({"nameservers":["10.0.0.53"]})");
    EXPECT_EQ(make_result(config, kAttachment, both())["dns"], config.dns);
    EXPECT_EQ(make_result(config, kAttachment, {})["dns"], config.dns);
}

TEST(Result, WithoutAddressesHasNone) {
    const auto result = make_result(of_version("1.0.0"), kAttachment, {});
    EXPECT_EQ(result["ips"], Json::array());
    EXPECT_EQ(result["routes"], Json::array());
    EXPECT_EQ(result["dns"], Json::object());
}

TEST(Addressing, RoutesGoByTheGatewayOfTheirFamily) {
    const auto read = both();
    ASSERT_EQ(read.addresses.size(), 2U);
    EXPECT_EQ(read.addresses[1].text, "fd00::2/64");
    ASSERT_EQ(read.paths.size(), 4U);
    EXPECT_EQ(read.paths[0].gateway, "10.0.0.1");
    EXPECT_EQ(read.paths[1].gateway, "");
    EXPECT_EQ(read.paths[2].gateway, "10.0.0.9");
    EXPECT_EQ(read.paths[2].priority, 7U);
    EXPECT_EQ(read.paths[2].mtu, 1400U);
    EXPECT_FALSE(read.paths[2].table);
    EXPECT_FALSE(read.paths[2].scope);
}

TEST(Addressing, RoutesOnTheLinkHaveNoGateway) {
    const auto on_link = both().paths[3];
    EXPECT_EQ(on_link.scope, 253);
    EXPECT_EQ(on_link.gateway, "");
    EXPECT_EQ(on_link.table, 5U);
    EXPECT_EQ(on_link.advmss, 1300U);
    const auto global =
        read_addressing(parse(R"({"ips":[{"address":"10.0.0.2/24","gateway":"10.0.0.1"}],
                  "routes":[{"dst":"10.9.0.0/16","scope":0}]})"));
    ASSERT_TRUE(global);
    EXPECT_EQ(global->paths[0].scope, 0);
    EXPECT_EQ(global->paths[0].gateway, "10.0.0.1");
}

TEST(Addressing, UnusableResultsAreRefused) {
    for (const auto* text :
         {"null", "[]", R"({"ips":[{}]})", R"({"ips":[5]})", R"({"routes":[{"gw":"10.0.0.1"}]})",
          R"({"routes":[{"dst":"10.9.0.0/16","scope":"link"}]})",
          R"({"routes":[{"dst":"10.9.0.0/16","scope":256}]})"}) {
        const auto read = read_addressing(parse(text));
        ASSERT_FALSE(read) << text;
        EXPECT_EQ(read.error().code, kUndecodable);
    }
}

TEST(PreviousResult, TellsTheMacOfTheInterface) {
    const auto previous = make_result(of_version("1.0.0"), kAttachment, {});
    EXPECT_EQ(previous_mac(previous, "net1", "/run/netns/a"), "02:00:00:00:00:01");
    EXPECT_FALSE(previous_mac(previous, "net1", "/run/netns/b"));
    EXPECT_FALSE(previous_mac(previous, "eth0", "/run/netns/a"));
    EXPECT_FALSE(previous_mac(parse("{}"), "eth0", "/run/netns/a"));
}

TEST(Failures, SayWhatWasWrongAndWhatToDo) {
    const Failure failure(
        fail(Code::denied, "lease from pool p", "p", "you may not", "ask somebody").error());
    EXPECT_EQ(to_json(failure, "1.0.0"), parse(R"({"cniVersion":"1.0.0","code":103,
                        "msg":"cannot lease from pool p: you may not","details":"ask somebody"})"));
    EXPECT_EQ(Failure(fail(Code::busy, "x", "x", "x").error()).code, kTryAgainLater);
    EXPECT_EQ(Failure(fail(Code::not_running, "x", "x", "x").error()).code, kTryAgainLater);
    EXPECT_EQ(Failure(fail(Code::invalid, "x", "x", "x").error()).code, kInvalidConfig);
    EXPECT_EQ(Failure(fail(Code::protocol, "x", "x", "x").error()).code, 113);
}

}  // namespace
}  // namespace vfb::cni
