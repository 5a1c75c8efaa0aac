// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfb::cni {
namespace {

using testing::HasSubstr;

Environment environment(const std::string& command) {
    return {.command = command,
            .container = "c1",
            .netns = "/run/netns/a",
            .ifname = "eth0",
            .args = {},
            .path = {}};
}

constexpr auto kMinimal = R"({"cniVersion":"1.0.0","name":"net","type":"vfbroker-cni","pool":"p"})";

std::string with(const std::string& fields) {
    std::string text = kMinimal;
    return text.substr(0, text.size() - 1) + "," + fields + "}";
}

int code_of(const Outcome<Config>& read) {
    return read ? 0 : read.error().code;
}

TEST(Command, EveryCommandIsKnown) {
    for (const auto* name : {"ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"})
        EXPECT_TRUE(read_command(environment(name))) << name;
    EXPECT_EQ(read_command(environment("add")).error().code, kInvalidEnvironment);
    EXPECT_EQ(read_command(environment("")).error().code, kInvalidEnvironment);
}

TEST(Command, VariablesAreChecked) {
    auto bad = environment("ADD");
    bad.container = "";
    EXPECT_THAT(read_command(bad).error().msg, HasSubstr("CNI_CONTAINERID"));
    bad.container = "../c";
    EXPECT_FALSE(read_command(bad));
    bad = environment("ADD");
    for (const auto* name : {"", ".", "..", "a/b", "a:b", "a b", "sixteen-letters-"}) {
        bad.ifname = name;
        EXPECT_FALSE(read_command(bad)) << name;
    }
    bad.ifname = "fifteen-letters";
    EXPECT_TRUE(read_command(bad));
}

TEST(Command, OnlyDelNeedsNoNamespace) {
    auto without = environment("DEL");
    without.netns = "";
    EXPECT_TRUE(read_command(without));
    for (const auto* name : {"ADD", "CHECK"}) {
        without.command = name;
        EXPECT_FALSE(read_command(without)) << name;
    }
    // The others are about no container.
    for (const auto* name : {"GC", "STATUS", "VERSION"}) {
        Environment bare;
        bare.command = name;
        EXPECT_TRUE(read_command(bare)) << name;
    }
}

TEST(Config, SaysWhatIsLeased) {
    const auto config = read_config(
        with(R"("vlan":5,"qos":2,"trust":true,"spoof_check":false,"max_tx_rate":100,"mtu":9000,
                "link_state":"auto","wait":9,"ipam":{"type":"host-local"},"a.dev/b":1)"),
        "");
    ASSERT_TRUE(config) << config.error().msg;
    EXPECT_EQ(config->network, "net");
    EXPECT_EQ(config->request.pool, "p");
    EXPECT_EQ(config->request.attributes.vlan, 5);
    EXPECT_EQ(config->request.attributes.qos, 2);
    EXPECT_EQ(config->request.attributes.trust, true);
    EXPECT_EQ(config->request.attributes.spoof_check, false);
    EXPECT_EQ(config->request.attributes.max_tx_rate, 100);
    EXPECT_EQ(config->request.attributes.link_state, "auto");
    EXPECT_FALSE(config->request.attributes.min_tx_rate);
    EXPECT_EQ(config->request.wait_seconds, 9);
    EXPECT_EQ(config->mtu, 9000U);
    EXPECT_EQ(config->ipam, "host-local");
    // A runtime that has none says so.
    EXPECT_EQ(read_config(with(R"("ipam":{})"), "")->ipam, "");
}

TEST(Config, TheMacOfTheContainerCountsMost) {
    const auto mac = [](const std::string& fields, const std::string& args) {
        return read_config(with(fields), args)->request.attributes.mac;
    };
    const std::string own = R"("mac":"02:00:00:00:00:01")";
    const std::string runtime = own + R"(,"runtimeConfig":{"mac":"02:00:00:00:00:03"})";
    EXPECT_EQ(mac(own, ""), "02:00:00:00:00:01");
    EXPECT_EQ(mac(own, "IgnoreUnknown=1;MAC=02:00:00:00:00:02;X=y"), "02:00:00:00:00:02");
    EXPECT_EQ(mac(own, "XMAC=02:00:00:00:00:02"), "02:00:00:00:00:01");
    EXPECT_EQ(mac(runtime, "MAC=02:00:00:00:00:02"), "02:00:00:00:00:03");
}

TEST(Config, DnsIsForTheResult) {
    const std::string dns = R"({"nameservers":["10.0.0.53"],"domain":"a.example","search":["b"],
                                "options":["ndots:2"]})";
    const auto config = read_config(with(R"("dns":)" + dns), "");
    ASSERT_TRUE(config) << config.error().msg;
    EXPECT_EQ(config->dns, proto::Json::parse(dns));
    // As good as none.
    for (const auto* none : {R"("dns":{})", R"("dns":null)", R"("a.dev/b":1)"})
        EXPECT_TRUE(read_config(with(none), "")->dns.is_null()) << none;
    for (const auto* wrong : {R"("dns":[])", R"("dns":{"nameservers":"10.0.0.53"})",
                              R"("dns":{"search":[5]})", R"("dns":{"domain":5})"}) {
        const auto refused = read_config(with(wrong), "");
        ASSERT_EQ(code_of(refused), kInvalidConfig) << wrong;
        EXPECT_THAT(refused.error().msg, HasSubstr("`dns`"));
    }
}

TEST(Config, MasqueradingIsRefused) {
    EXPECT_EQ(code_of(read_config(with(R"("ipMasq":false)"), "")), 0);
    EXPECT_EQ(code_of(read_config(with(R"("ipMasq":"yes")"), "")), kInvalidConfig);
    const auto refused = read_config(with(R"("ipMasq":true)"), "");
    ASSERT_EQ(code_of(refused), kUnsupportedField);
    EXPECT_THAT(refused.error().msg, HasSubstr("`ipMasq`"));
    EXPECT_THAT(refused.error().details, HasSubstr("gateway"));
    // What is there can be ended all the same.
    EXPECT_EQ(code_of(read_config_to_end(with(R"("ipMasq":true)"))), 0);
}

TEST(Config, WhatIsWrongIsNamed) {
    EXPECT_EQ(code_of(read_config("{", "")), kUndecodable);
    EXPECT_EQ(code_of(read_config("[]", "")), kUndecodable);
    EXPECT_EQ(code_of(read_config(R"({"name":"net","pool":"p"})", "")), kInvalidConfig);
    EXPECT_EQ(code_of(read_config(R"({"cniVersion":"0.2.0","name":"net","pool":"p"})", "")),
              kIncompatibleVersion);
    EXPECT_EQ(code_of(read_config(R"({"cniVersion":"1.0.0","name":"n"})", "")), kInvalidConfig);
    EXPECT_EQ(code_of(read_config(R"({"cniVersion":"1.0.0","name":"a/b","pool":"p"})", "")),
              kInvalidConfig);
    EXPECT_EQ(code_of(read_config(with(R"("ipam":{"type":"../x"})"), "")), kInvalidConfig);
    EXPECT_EQ(code_of(read_config(with(R"("ipam":"x")"), "")), kInvalidConfig);
    for (const auto* field : {R"("vlan":"5")", R"("vlan":-1)", R"("vlan":1.5)", R"("trust":"on")",
                              R"("mac":5)", R"("mtu":4294967296)", R"("runtimeConfig":[])"})
        EXPECT_EQ(code_of(read_config(with(field), "")), kInvalidConfig) << field;
    const auto misspelt = read_config(with(R"("vlna":5)"), "");
    EXPECT_EQ(code_of(misspelt), kUnsupportedField);
    EXPECT_THAT(misspelt.error().msg, HasSubstr("`vlna`"));
}

TEST(Config, EndingNeedsNoMoreThanTheNetwork) {
    const auto config = read_config_to_end(
        R"({"cniVersion":"1.1.0","name":"net","vlna":5,"vlan":"x","prevResult":{"ips":[]},
            "cni.dev/valid-attachments":[{"containerID":"c1","ifname":"eth0"}]})");
    ASSERT_TRUE(config) << config.error().msg;
    EXPECT_TRUE(config->previous.is_object());
    ASSERT_TRUE(config->valid);
    EXPECT_THAT(*config->valid, testing::ElementsAre("cni/net/c1/eth0"));
    // No list is not an empty list.
    EXPECT_FALSE(read_config_to_end(kMinimal)->valid);
    // That is how libcni writes an empty one.
    const auto none = read_config_to_end(with(R"("cni.dev/valid-attachments":null)"));
    ASSERT_TRUE(none) << none.error().msg;
    ASSERT_TRUE(none->valid);
    EXPECT_TRUE(none->valid->empty());
    EXPECT_EQ(code_of(read_config_to_end(with(R"("cni.dev/valid-attachments":{})"))),
              kInvalidConfig);
    EXPECT_EQ(code_of(read_config_to_end(
                  R"({"cniVersion":"1.1.0","name":"n","cni.dev/valid-attachments":[{}]})")),
              kInvalidConfig);
}

TEST(Config, VersionsAreInOrder) {
    EXPECT_TRUE(is_at_least("1.1.0", "1.0.0"));
    EXPECT_TRUE(is_at_least("1.0.0", "1.0.0"));
    EXPECT_FALSE(is_at_least("0.4.0", "1.0.0"));
    EXPECT_EQ(version_of(R"({"cniVersion":"0.4.0"})"), "0.4.0");
    EXPECT_EQ(version_of(R"({"cniVersion":"7"})"), "1.1.0");
    EXPECT_EQ(version_of("{"), "1.1.0");
}

}  // namespace
}  // namespace vfb::cni
