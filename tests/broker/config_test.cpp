// SPDX-License-Identifier: GPL-2.0-or-later
#include "broker/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfb::broker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FewAccounts : public AccountResolver {
public:
    Result<std::optional<uid_t>> uid_of(const std::string& user) const override {
        if (user == "alice") return 1001;
        if (user == "broken") return fail_errno(EIO, "look up the account 'broken'", user);
        return std::nullopt;
    }
    Result<std::optional<gid_t>> gid_of(const std::string& group) const override {
        if (group == "kvm") return 104;
        return std::nullopt;
    }
};

Result<Config> parse(std::string_view text) {
    return parse_config(text, "x.toml", FewAccounts());
}

// A valid PF before the text, on the first three lines.
Result<Config> parse_after_pf(const std::string& text) {
    return parse("[pf.uplink]\naddress = '0000:01:00.0'\nvfs = 8\n" + text);
}

// All messages of an error and its causes, each with what operation the first has cut off.
std::vector<std::string> messages(const Error& error) {
    std::vector<std::string> all;
    for (const auto* at = &error; at != nullptr; at = at->cause.get()) {
        EXPECT_EQ(at->code, Code::invalid);
        all.push_back(at->operation + ": " + at->reason);
    }
    return all;
}

std::string first(const Result<Config>& config) {
    EXPECT_FALSE(config);
    return config ? "" : messages(config.error()).front();
}

std::string hint(const Result<Config>& config) {
    EXPECT_FALSE(config);
    return config ? "" : config.error().hint;
}

TEST(Config, NothingIsNothing) {
    for (const auto* text : {"", "# only a comment\n", "\n\n", "[pf]\n[pool]\n"}) {
        const auto config = parse(text);
        ASSERT_TRUE(config) << config.error().message();
        EXPECT_THAT(config->pfs, IsEmpty());
        EXPECT_THAT(config->pools, IsEmpty());
    }
}

TEST(Config, ReadsEverything) {
    const auto config = parse(R"(
[pf.uplink]
address = "0000:01:00.0"
slot = "3-1"
mac = "52:54:00:12:34:56"
driver = "igb"
vendor = "8086"
device = "0x10c9"
vfs = 7
link_up = false
mtu = 9000
eswitch_mode = "switchdev"

[pf.other]
driver = "mlx5_core"
vfs = 65535

[pool.guests]
pf = ["uplink", "other"]
vfs = "5,0-3"
backend = "group"
driver = "vfio-pci"
allow_users = ["alice", 1000, 0, 1000]
allow_groups = ["kvm", 7]
memlock_max = "4GiB"
tenant_may_set = ["mac", "trust", "max_tx_rate"]
msix_vectors = 16
max_functions_per_user = 2
reset = "if-available"

[pool.guests.attributes]
vlan = 100
qos = 3
vlan_protocol = "802.1ad"
spoof_check = false
trust = true
min_tx_rate = 10
max_tx_rate = 1000
link_state = "enable"
rss_query = true

[pool.guests.tenant_limits]
mac = ["52:54:00:80:00:00/25", "52:54:00:00:00:*"]
max_tx_rate = 1000
trust = [false, true]
)");
    ASSERT_TRUE(config) << config.error().message();
    ASSERT_EQ(config->pfs.size(), 2U);
    const auto& other = config->pfs[0];
    EXPECT_EQ(other.name, "other") << "in order of name";
    EXPECT_EQ(other.selector.str(), "driver mlx5_core");
    EXPECT_EQ(other.vfs, 65535U);
    EXPECT_TRUE(other.link_up);

    const auto& uplink = *config->find_pf("uplink");
    EXPECT_EQ(uplink.selector.str(),
              "address 0000:01:00.0, slot 3-1, mac 52:54:00:12:34:56, driver igb, vendor 8086, "
              "device 10c9");
    EXPECT_EQ(uplink.vfs, 7U);
    EXPECT_FALSE(uplink.link_up);
    EXPECT_EQ(uplink.mtu, 9000U);
    EXPECT_EQ(uplink.eswitch_mode, nic::EswitchMode::switchdev);
    EXPECT_EQ(other.mtu, std::nullopt);
    EXPECT_EQ(other.eswitch_mode, std::nullopt);
    EXPECT_EQ(uplink.location.str(), "x.toml:2:1");

    const auto& pool = *config->find_pool("guests");
    EXPECT_THAT(pool.pfs, ElementsAre("uplink", "other"));
    EXPECT_THAT(*pool.vfs, ElementsAre(0, 1, 2, 3, 5));
    EXPECT_EQ(pool.backend, BackendChoice::group);
    EXPECT_EQ(pool.driver, "vfio-pci");
    EXPECT_THAT(pool.allow_users, ElementsAre(0, 1000, 1001));
    EXPECT_THAT(pool.allow_groups, ElementsAre(7, 104));
    EXPECT_EQ(pool.memlock_max, std::uint64_t{4} << 30);
    EXPECT_THAT(pool.tenant_may_set, ElementsAre("mac", "trust", "max_tx_rate"));
    EXPECT_EQ(pool.msix_vectors, 16U);
    EXPECT_EQ(pool.tenant_limits.size(), 3U);
    EXPECT_EQ(pool.tenant_limit("mac")->str(), "52:54:00:00:00:*, 52:54:00:80:00:00/25");
    EXPECT_EQ(pool.tenant_limit("max_tx_rate")->str(), "1-1000");
    EXPECT_EQ(pool.tenant_limit("trust")->str(), "false, true");
    EXPECT_EQ(pool.tenant_limit("vlan"), nullptr);
    EXPECT_EQ(pool.max_functions_per_user, 2U);
    EXPECT_EQ(pool.reset, ResetPolicy::if_available);
    nic::VfAttributes attributes;
    attributes.vlan = 100;
    attributes.qos = 3;
    attributes.vlan_protocol = nic::VlanProtocol::dot1ad;
    attributes.spoof_check = false;
    attributes.trust = true;
    attributes.min_tx_rate = 10;
    attributes.max_tx_rate = 1000;
    attributes.link_state = nic::LinkState::enable;
    attributes.rss_query = true;
    EXPECT_EQ(pool.attributes, attributes);
    EXPECT_EQ(pool.location.line, 18U);
}

TEST(Config, HasDefaults) {
    const auto config = parse_after_pf("[pool.guests]\npf = 'uplink'\n");
    ASSERT_TRUE(config) << config.error().message();
    EXPECT_TRUE(config->pfs[0].link_up);
    const auto& pool = config->pools[0];
    EXPECT_EQ(pool.vfs, std::nullopt);
    EXPECT_EQ(pool.backend, BackendChoice::automatic);
    EXPECT_EQ(pool.driver, std::nullopt);
    EXPECT_THAT(pool.allow_users, IsEmpty());
    EXPECT_THAT(pool.allow_groups, IsEmpty());
    EXPECT_EQ(pool.memlock_max, std::nullopt);
    EXPECT_THAT(pool.tenant_may_set,
                ElementsAre("mac", "vlan", "qos", "vlan_protocol", "max_tx_rate"));
    EXPECT_EQ(pool.max_functions_per_user, 0U);
    EXPECT_EQ(pool.reset, ResetPolicy::required);
    EXPECT_TRUE(pool.attributes.empty());
    EXPECT_TRUE(pool.tenant_may("vlan"));
    EXPECT_FALSE(pool.tenant_may("trust"));
}

TEST(Config, UnsetIsNotZero) {
    const auto config = parse_after_pf(
        "[pool.a]\npf = 'uplink'\nvfs = '0'\n[pool.a.attributes]\nvlan = 0\n"
        "[pool.b]\npf = 'uplink'\nvfs = '1'\ntenant_may_set = []\n");
    ASSERT_TRUE(config) << config.error().message();
    EXPECT_EQ(config->find_pool("a")->attributes.vlan, 0);
    EXPECT_EQ(config->find_pool("b")->attributes.vlan, std::nullopt);
    EXPECT_THAT(config->find_pool("b")->tenant_may_set, IsEmpty()) << "none, not the default";
}

TEST(Config, KnowsWhichPoolAVfIsIn) {
    const auto config = parse_after_pf(
        "[pool.a]\npf = 'uplink'\nvfs = '0-3'\n[pool.b]\npf = 'uplink'\nvfs = '5'\n");
    ASSERT_TRUE(config) << config.error().message();
    EXPECT_EQ(config->pool_of("uplink", 3)->name, "a");
    EXPECT_EQ(config->pool_of("uplink", 5)->name, "b");
    EXPECT_EQ(config->pool_of("uplink", 4), nullptr);
    EXPECT_EQ(config->pool_of("other", 3), nullptr);
}

TEST(ConfigErrors, UnknownKeysGetAHint) {
    const auto config = parse("[pf.uplink]\naddress = '0000:01:00.0'\n  vf = 4\nvfs = 4\n");
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().message(),
              "cannot read the configuration x.toml:3:3: unknown key 'vf' in [pf.uplink]");
    EXPECT_EQ(config.error().hint, "did you mean 'vfs'?");
    EXPECT_EQ(config.error().subject, "x.toml:3:3");

    EXPECT_EQ(hint(parse("[pools.a]\n")), "did you mean 'pool'?");
    EXPECT_EQ(hint(parse("[zebra]\n")), "");
    EXPECT_EQ(hint(parse_after_pf("[pool.a]\npf = 'uplink'\ntenants_may_set = []\n")),
              "did you mean 'tenant_may_set'?");
    EXPECT_EQ(
        hint(parse_after_pf("[pool.a]\npf = 'uplink'\n[pool.a.attributes]\nspoofcheck = true\n")),
        "did you mean 'spoof_check'?");
}

TEST(ConfigErrors, UnknownPf) {
    const auto config = parse_after_pf("[pool.a]\npf = 'uplnk'\n");
    EXPECT_EQ(first(config),
              "read the configuration x.toml:4:1: [pool.a] wants VFs of PF 'uplnk', which is "
              "defined nowhere");
    EXPECT_EQ(hint(config), "did you mean 'uplink'?");
}

TEST(ConfigErrors, IndexBeyondThePf) {
    const auto config = parse_after_pf("[pool.a]\npf = 'uplink'\nvfs = '6-8'\n");
    EXPECT_EQ(first(config),
              "read the configuration x.toml:4:1: [pool.a] wants VF 8 of PF 'uplink', which has "
              "only 0 to 7 (vfs = 8 at x.toml:1:1)");
}

TEST(ConfigErrors, OverlapsNameBothAndTheIndexes) {
    const auto config = parse_after_pf(
        "[pool.a]\npf = 'uplink'\nvfs = '0-5'\n[pool.b]\npf = 'uplink'\nvfs = '3-4,5,7'\n");
    EXPECT_EQ(first(config),
              "read the configuration x.toml:7:1: [pool.b] and [pool.a] (x.toml:4:1) both have VF "
              "3-5 of PF 'uplink'");
    EXPECT_THAT(first(parse_after_pf("[pool.a]\npf = 'uplink'\n[pool.b]\npf = 'uplink'\n"
                                     "vfs = '0'\n")),
                HasSubstr("both have VF 0 of PF 'uplink'"));
}

TEST(ConfigErrors, TwoNamesForOnePf) {
    EXPECT_THAT(first(parse_after_pf("[pf.again]\naddress = '01:00.0'\nvfs = 1\n")),
                HasSubstr("select the same PF: address 0000:01:00.0"));
}

struct Bad {
    const char* text;      // after the PF's three lines
    const char* position;  // line:column
    const char* says;
};

TEST(ConfigErrors, NameThePlaceAndTheReason) {
    const std::string pool = "[pool.a]\npf = 'uplink'\n";  // lines 4 and 5
    const Bad cases[] = {
        {"vfs = 3", "6:7", "must be text in quotes, not a number"},
        {"vfs = ''", "6:7", "'' is no index and no range"},
        {"vfs = '1-'", "6:7", "'1-' is no index"},
        {"vfs = '3-1'", "6:7", "'3-1' is no index"},
        {"vfs = '1,,2'", "6:7", "'' is no index"},
        {"vfs = ' 1'", "6:7", "no index"},
        {"vfs = '-1'", "6:7", "no index"},
        {"vfs = '0-3,2'", "6:7", "index 2 is given twice"},
        {"vfs = '0-99999999999'", "6:7", "no index"},
        {"backend = 'iommu'", "6:11", "'iommu' is not one of auto, iommufd, group"},
        {"backend = 1", "6:11", "must be text in quotes"},
        {"driver = \"vfio\\npci\"", "6:10", "'vfio?pci' has characters"},
        {"driver = '../x'", "6:10", "has characters"},
        {"allow_users = ['bob']", "6:16", "there is no user 'bob'"},
        {"allow_users = ['1000']", "6:16", "there is no user '1000'"},
        {"allow_users = ['broken']", "6:16", "cannot look up the account 'broken'"},
        {"allow_users = 'alice'", "6:15", "must be a list of user names and numbers, not text"},
        {"allow_users = [-1]", "6:16", "not a number"},
        {"allow_users = [4294967295]", "6:16", "a list of user"},
        {"allow_users = [true]", "6:16", "not true or false"},
        {"allow_groups = ['kvn']", "6:17", "there is no group 'kvn'"},
        {"memlock_max = '4GB'", "6:15", "'4GB' is not a size"},
        {"memlock_max = -1", "6:15", "not a size"},
        {"memlock_max = 1.5", "6:15", "not a size"},
        {"memlock_max = '99999999999T'", "6:15", "not a size"},
        {"tenant_may_set = ['mtu']", "6:19", "there is no attribute 'mtu'"},
        {"tenant_may_set = [1]", "6:19", "not a number"},
        {"max_functions_per_user = -1", "6:26", "-1 is not from 0 to 65535"},
        {"max_functions_per_user = 'a'", "6:26", "must be a number from 0 to 65535, not text"},
        {"reset = 'never'", "6:9", "'never' is not one of required, if-available"},
        {"attributes = 1", "6:14", "must be a table, not a number"},
        {"attributes.vlan = 4095", "6:19", "'4095' is not a number from 0 to 4094"},
        {"attributes.vlan = '100'", "6:19", "must be a number from 0 to 4094"},
        {"attributes.qos = 8", "6:18", "not a number from 0 to 7"},
        {"attributes.qos = -1", "6:18", "not a number from 0 to 7"},
        {"attributes.trust = 1", "6:20", "must be true or false, not a number"},
        {"attributes.link_state = 'up'", "6:25", "'up' is not auto, enable or disable"},
        {"attributes.max_tx_rate = 4294967296", "6:26", "is not a number of Mbit/s"},
        {"attributes.mac = '52:54:00:00:00:01'", "6:18", "one address"},
        {"attributes.node_guid = '02:00:00:00:00:00:00:01'", "6:24", "one address"},
        {"msix_vectors = 0", "6:16", "0 is not from 1 to 2048"},
        {"tenant_limits = 5", "6:17", "must be a table"},
        {"tenant_limits.vlan = 4095", "6:22", "\"4095\" is not a number from 0 to 4094"},
        {"tenant_limits.vlan = true", "6:22", "must be a number from 0 to 4094"},
        {"tenant_limits.vlan = ['200-100']", "6:23", "is empty: its first value is above its last"},
        {"tenant_limits.vlan = ['1-9', '20-x']", "6:30", "is no range"},
        {"tenant_limits.vlan = []", "6:22", "the list is empty"},
        {"tenant_limits.vlan = ['150-300', 5, '100-199']", "6:22",
         "'100-199' and '150-300' overlap"},
        {"tenant_limits.vlan = {}", "6:22", "must be a value, a range, or a list of them"},
        {"tenant_limits.mac = ['52:54:00']", "6:22", "is not a unicast address"},
        {"tenant_limits.trust = true", "6:23", "lets nobody set it, so there is nothing to limit"},
        {"tenant_limits.vlam = 1", "6:15", "unknown key 'vlam' in [pool.a.tenant_limits]"},
        {"attributes = { min_tx_rate = 9, max_tx_rate = 8 }", "6:14", "min_tx_rate: 9 is not"},
        {"[pool.b]", "6:1", "does not say which PF"},
        {"[pool.b]\npf = []", "7:6", "the list is empty"},
        {"[pool.b]\npf = ['uplink', 'uplink']", "7:17", "'uplink' is given twice"},
        {"[pool.b]\npf = 3", "7:6", "must be the name of a PF, or a list of them, not a number"},
        {"[pool.B]", "6:7", "'B' is no name for a pool"},
        {"[pool.'']", "6:7", "'' is no name for a pool"},
        {"[pool]\nb = 1", "7:1", "'b' in [pool] must be a table, not a number"},
        {"[pf.b]\nvfs = 1", "6:1", "does not say which PF it is"},
        {"[pf.b]\nslot = '1'", "6:1", "does not say how many VFs"},
        {"[pf.b]\nslot = '1'\nvfs = 0", "8:7", "0 is not from 1 to 65535"},
        {"[pf.b]\nslot = '1'\nvfs = 65536", "8:7", "65536 is not from 1 to 65535"},
        {"[pf.b]\nslot = '1'\nvfs = 1.0", "8:7", "not a number with a fraction"},
        {"[pf.b]\nvfs = 1\naddress = '0000:01:00'", "8:11", "is not a PCI address"},
        {"[pf.b]\nvfs = 1\naddress = '0000:01:20.0'", "8:11", "is not a PCI address"},
        {"[pf.b]\nvfs = 1\nmac = '52:54:00:12:34'", "8:7", "is not a unicast address"},
        {"[pf.b]\nvfs = 1\nmac = 'ff:ff:ff:ff:ff:ff'", "8:7", "is not a unicast address"},
        {"[pf.b]\nvfs = 1\nvendor = 0x8086", "8:10", "must be text in quotes"},
        {"[pf.b]\nvfs = 1\nvendor = '808'", "8:10", "four hexadecimal digits"},
        {"[pf.b]\nvfs = 1\nmtu = 67\nslot='1'", "8:7", "67 is not from 68 to 65535"},
        {"[pf.b]\nvfs = 1\neswitch_mode = 'switch'\nslot='1'", "8:16",
         "'switch' is not one of legacy, switchdev"},
        {"[pf.b]\nvfs = 1\nlink_up = 'yes'\nslot='1'", "8:11", "must be true or false, not text"},
        {"[pf.b]\nvfs = 1\nlink_up = 2020-01-01\nslot='1'", "8:11", "not a date or time"},
        {"x = ", "6:5", ""},
        {"reset = 'required'\nreset = 'required'", "7:9", "cannot redefine"},
        {"[pf.uplink]", "6:1", "cannot redefine existing table 'pf.uplink'"},
        {"[[pf]]", "6:1", ""},
        {"driver = \"\xff\"", "6:10", "utf-8"},
    };
    for (const auto& bad : cases) {
        const auto config = parse_after_pf(pool + bad.text + "\n");
        ASSERT_FALSE(config) << bad.text;
        EXPECT_EQ(config.error().code, Code::invalid);
        const auto message = first(config);
        EXPECT_THAT(message, HasSubstr(std::string("x.toml:") + bad.position + ": ")) << bad.text;
        EXPECT_THAT(message, HasSubstr(bad.says)) << bad.text;
    }
}

TEST(ConfigErrors, AllAreToldInOrder) {
    const auto config = parse(
        "[pool.a]\npf = 'nowhere'\nbackend = 'x'\n"
        "[pf.u]\nvfs = 0\n");
    ASSERT_FALSE(config);
    auto all = messages(config.error());
    ASSERT_EQ(all.size(), 3U) << "the unknown PF may be a consequence";
    EXPECT_THAT(all[0], HasSubstr("x.toml:3:11: "));
    EXPECT_THAT(all[1], HasSubstr("x.toml:4:1: [pf.u] does not say which PF it is"));
    EXPECT_THAT(all[2], HasSubstr("x.toml:5:7: "));

    const auto compared =
        parse_after_pf("[pool.b]\npf = 'nowhere'\n[pool.a]\npf = 'uplink'\nvfs = '8'\n");
    ASSERT_FALSE(compared);
    all = messages(compared.error());
    ASSERT_EQ(all.size(), 2U);
    EXPECT_THAT(all[0], HasSubstr("x.toml:4:1: [pool.b] wants VFs of PF 'nowhere'"));
    EXPECT_THAT(all[1], HasSubstr("x.toml:6:1: [pool.a] wants VF 8"));
}

TEST(ConfigErrors, AreBoundedAndPrintable) {
    std::string text = "[pf.u]\nslot = '1'\nvfs = 1\n";
    for (int i = 0; i < 5000; ++i) text += "\"k\\u001b" + std::to_string(i) + "\" = 1\n";
    text += "'" + std::string(100'000, 'k') + "' = 1\n";
    const auto config = parse(text);
    ASSERT_FALSE(config);
    EXPECT_LE(messages(config.error()).size(), 20U);
    EXPECT_EQ(config.error().message().find('\x1b'), std::string::npos);
    EXPECT_LT(config.error().message().size(), 5000U);
}

TEST(ConfigErrors, SurvivesAnyPrefixAndNesting) {
    const std::string whole =
        "[pf.u]\naddress = \"0000:01:00.0\"\nvfs = 4\n[pool.p]\npf = [\"u\"]\nvfs = '0-3'\n"
        "attributes = { vlan = 1, link_state = 'auto' }\n";
    ASSERT_TRUE(parse(whole));
    for (std::size_t size = 0; size < whole.size(); ++size) (void)parse(whole.substr(0, size));
    EXPECT_FALSE(parse("x = " + std::string(100'000, '[')));
    EXPECT_FALSE(parse(std::string("\0\0\0", 3)));
}

TEST(ConfigSizes, AreBinaryAndBounded) {
    const std::pair<const char*, std::uint64_t> good[] = {
        {"0", 0},
        {"65536", 65536},
        {"'65536'", 65536},
        {"'4K'", 4096},
        {"'4KiB'", 4096},
        {"'512M'", std::uint64_t{512} << 20},
        {"'1T'", std::uint64_t{1} << 40},
        {"'16777215TiB'", std::uint64_t{16777215} << 40},
        {"'unlimited'", kUnlimited},
    };
    for (const auto& [text, bytes] : good) {
        const auto config =
            parse_after_pf(std::string("[pool.a]\npf = 'uplink'\nmemlock_max = ") + text + "\n");
        ASSERT_TRUE(config) << text << config.error().message();
        EXPECT_EQ(config->pools[0].memlock_max, bytes) << text;
    }
    for (const auto* text :
         {"''", "'G'", "'4g'", "'4 G'", "'4Gi'", "'4P'", "'-4G'", "'+4G'", "'0x10'", "'16777216T'",
          "'18446744073709551616'", "'1.5G'", "'Unlimited'", "true", "[]"})
        EXPECT_FALSE(
            parse_after_pf(std::string("[pool.a]\npf = 'uplink'\nmemlock_max = ") + text + "\n"))
            << text;
}

}  // namespace
}  // namespace vfb::broker
