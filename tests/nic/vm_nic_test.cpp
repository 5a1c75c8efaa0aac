// SPDX-License-Identifier: GPL-2.0-or-later
//
// VF attributes on real drivers: igb, and netdevsim where the kernel has it. Runs inside the
// emulated machine (./dev vm) and refuses to run anywhere else.
#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "nic/devlink.hpp"
#include "nic/vf_attributes.hpp"

namespace vfb::nic {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto kTimeout = 500ms;

void write_file(const std::string& path, const std::string& text) {
    std::ofstream file(path);
    file << text << std::flush;
    ASSERT_TRUE(file) << path;
}

std::string netdev_of(const std::string& device) {
    DIR* const dir = ::opendir((device + "/net").c_str());
    if (dir == nullptr) return {};
    std::string name;
    while (const dirent* entry = ::readdir(dir))
        if (entry->d_name[0] != '.') name = std::max<std::string>(name, entry->d_name);
    ::closedir(dir);
    return name;
}

bool wait_for_carrier(const std::string& name) {
    for (int i = 0; i < 200; ++i, std::this_thread::sleep_for(50ms)) {
        std::ifstream file("/sys/class/net/" + name + "/carrier");
        int carrier = 0;
        if (file >> carrier && carrier == 1) return true;
    }
    return false;
}

class Machine : public testing::Test {
protected:
    void SetUp() override {
        if (std::getenv("VFB_VM") == nullptr)
            GTEST_SKIP() << "changes devices: runs inside ./dev vm only";
        auto opened = Session::open();
        ASSERT_TRUE(opened) << opened.error().message();
        session_.emplace(std::move(*opened));
        prepare();
    }
    virtual void prepare() = 0;
    Session& session() { return *session_; }
    WriteReport write(unsigned index, const VfAttributes& wanted) {
        auto report = session().write(ifindex_, index, wanted, kTimeout);
        EXPECT_TRUE(report) << report.error().message();
        return report ? *report : WriteReport{};
    }
    VfAttributes read(unsigned index) {
        auto attributes = session().read(ifindex_, index);
        EXPECT_TRUE(attributes) << attributes.error().message();
        return attributes ? *attributes : VfAttributes{};
    }
    int ifindex_ = 0;
    std::string name_;

private:
    std::optional<Session> session_;
};

VfAttributes fresh() {
    auto attributes = safe_defaults();
    attributes.mac = MacAddress{};
    return attributes;
}

// ---- igb

constexpr unsigned kVfs = 4;

// It has no RSS query, and reports none.
VfAttributes igb_fresh() {
    auto attributes = fresh();
    attributes.rss_query.reset();
    return attributes;
}

class Igb : public Machine {
protected:
    void prepare() override {
        const std::string device = "/sys/bus/pci/devices/0000:01:00.0";
        name_ = netdev_of(device);
        ifindex_ = static_cast<int>(if_nametoindex(name_.c_str()));
        ASSERT_GT(ifindex_, 0);
        write_file(device + "/sriov_drivers_autoprobe", "0");
        write_file(device + "/sriov_numvfs", "0");
        write_file(device + "/sriov_numvfs", std::to_string(kVfs));
        const auto up = session().set_up(ifindex_, true);
        ASSERT_TRUE(up) << up.error().message();
        ASSERT_TRUE(wait_for_carrier(name_));
    }

    static VfAttributes rich() {
        VfAttributes wanted;
        wanted.mac = *MacAddress::parse("52:54:00:aa:bb:02");
        wanted.vlan = 100;
        wanted.qos = 3;
        wanted.vlan_protocol = VlanProtocol::dot1q;
        wanted.spoof_check = false;
        wanted.trust = true;
        wanted.min_tx_rate = 0;
        wanted.max_tx_rate = 100;
        wanted.link_state = LinkState::automatic;
        return wanted;
    }

    // The request is refused, and the VF is as before.
    Error refused(const VfAttributes& wanted) {
        const auto before = read(1);
        const auto report = session().write(ifindex_, 1, wanted, kTimeout);
        EXPECT_FALSE(report);
        EXPECT_EQ(read(1), before) << "nothing is changed";
        return report ? Error{} : report.error();
    }
};

TEST_F(Igb, StartsWithTheSafeDefaults) {
    const auto all = session().read_all(ifindex_);
    ASSERT_TRUE(all) << all.error().message();
    EXPECT_THAT(*all, ElementsAre(igb_fresh(), igb_fresh(), igb_fresh(), igb_fresh()));
}

TEST_F(Igb, SetsEveryAttributeAndRestoresIt) {
    const auto report = write(2, rich());
    EXPECT_EQ(report.actual, rich());
    EXPECT_THAT(report.unsupported, IsEmpty());
    EXPECT_EQ(read(2), rich());
    for (const unsigned other : {0U, 1U, 3U}) EXPECT_EQ(read(other), igb_fresh()) << other;

    const auto restored = write(2, fresh());
    EXPECT_EQ(restored.actual, igb_fresh());
    EXPECT_THAT(restored.unsupported, ElementsAre("rss_query"));
}

TEST_F(Igb, LeavesWhatIsNotAskedFor) {
    write(0, rich());
    VfAttributes wanted;
    wanted.qos = 5;
    auto expected = rich();
    expected.qos = 5;
    EXPECT_EQ(write(0, wanted).actual, expected) << "QoS shares its message with the VLAN";
    wanted = {};
    wanted.vlan = 0;
    wanted.qos = 0;
    expected.vlan = 0;
    expected.qos = 0;
    EXPECT_EQ(write(0, wanted).actual, expected);
    EXPECT_EQ(write(0, {}).actual, expected);
}

TEST_F(Igb, NamesWhatTheDriverCannotDo) {
    VfAttributes wanted;
    wanted.vlan = 200;
    wanted.trust = true;
    wanted.link_state = LinkState::disable;
    const auto error = refused(wanted);
    EXPECT_EQ(error.code, Code::unsupported);
    EXPECT_THAT(error.message(), HasSubstr("not supported by igb"));
    EXPECT_THAT(error.message(), HasSubstr("set link_state=disable on VF 1 of " + name_));
    EXPECT_FALSE(error.hint.empty());

    wanted = {};
    wanted.vlan = 200;
    wanted.vlan_protocol = VlanProtocol::dot1ad;
    EXPECT_EQ(refused(wanted).code, Code::unsupported);

    const std::pair<const char*, const char*> lacking[] = {
        {"rss_query", "true"},
        {"node_guid", "02:00:00:00:00:00:00:01"},
        {"port_guid", "02:00:00:00:00:00:00:01"},
        {"link_state", "disable"},
    };
    for (const auto& [name, text] : lacking) {
        wanted = {};
        ASSERT_TRUE(set_from_text(wanted, name, text));
        const auto refusal = refused(wanted);
        EXPECT_EQ(refusal.code, Code::unsupported) << refusal.message();
        EXPECT_THAT(refusal.message(), HasSubstr(std::string("set ") + name + "=" + text));
    }
}

TEST_F(Igb, WritesManyAndLosesNoneToTheRefusalOfAnother) {
    std::vector<VfRequest> requests;
    for (unsigned index = 0; index < kVfs; ++index) {
        requests.push_back({.index = index, .wanted = rich()});
        requests.back().wanted.mac->bytes[5] = static_cast<std::uint8_t>(index);
    }
    requests[1].wanted.link_state = LinkState::disable;
    requests[2].wanted.vlan = 4095;
    requests.push_back({.index = kVfs, .wanted = rich()});
    requests.push_back({.index = 0, .wanted = {}});
    const auto results = session().write_many(ifindex_, requests, kTimeout);
    ASSERT_TRUE(results) << results.error().message();
    ASSERT_EQ(results->size(), 6U);
    EXPECT_EQ((*results)[0]->actual, requests[0].wanted);
    EXPECT_EQ((*results)[1].error().code, Code::unsupported);
    EXPECT_EQ(read(1), igb_fresh()) << "what it took of this VF is restored";
    EXPECT_EQ((*results)[2].error().code, Code::invalid);
    EXPECT_EQ(read(2), igb_fresh());
    EXPECT_EQ((*results)[3]->actual, requests[3].wanted);
    EXPECT_EQ(read(3), requests[3].wanted);
    EXPECT_EQ((*results)[4].error().code, Code::not_found);
    EXPECT_THAT((*results)[5].error().message(), HasSubstr("asked for twice"));
    EXPECT_EQ(session().write_many(99999, requests, kTimeout).error().code, Code::lost);
}

TEST_F(Igb, RefusesBadValuesAndChangesNothing) {
    auto wanted = rich();
    wanted.mac = *MacAddress::parse("01:00:5e:00:00:01");
    EXPECT_EQ(refused(wanted).code, Code::invalid);
    wanted = rich();
    wanted.vlan = 4095;
    EXPECT_EQ(refused(wanted).code, Code::invalid);
    wanted = rich();
    wanted.max_tx_rate = 100'000;
    auto error = refused(wanted);
    EXPECT_EQ(error.code, Code::invalid);
    EXPECT_THAT(error.message(), HasSubstr("max_tx_rate=100000"));
    EXPECT_THAT(error.hint, HasSubstr("link speed"));
    wanted = rich();
    wanted.min_tx_rate = 10;
    error = refused(wanted);
    EXPECT_EQ(error.code, Code::invalid);
    EXPECT_THAT(error.hint, HasSubstr("min_tx_rate at 0"));
}

TEST_F(Igb, SaysThatThereIsNoSuchVfOrPf) {
    EXPECT_EQ(session().read(ifindex_, kVfs).error().code, Code::not_found);
    EXPECT_EQ(session().write(ifindex_, kVfs, rich(), kTimeout).error().code, Code::not_found);
    EXPECT_EQ(session().read(99999, 0).error().code, Code::lost);
    EXPECT_EQ(session().set_up(99999, true).error().code, Code::lost);
    EXPECT_EQ(session().read(static_cast<int>(if_nametoindex("lo")), 0).error().code,
              Code::not_found);
    EXPECT_THAT(*session().read_all(static_cast<int>(if_nametoindex("lo"))), IsEmpty());
}

TEST_F(Igb, BringsThePfUp) {
    EXPECT_EQ(session().set_up(ifindex_, true).value(), true) << "it was up";
    write(2, rich());
    EXPECT_EQ(session().set_up(ifindex_, false).value(), true);
    VfAttributes rate;
    rate.max_tx_rate = 50;
    const auto error = refused(rate);
    EXPECT_EQ(error.code, Code::invalid);
    EXPECT_THAT(error.hint, HasSubstr("up"));
    EXPECT_EQ(session().set_up(ifindex_, true).value(), false) << "it was down";
    EXPECT_EQ(session().set_up(ifindex_, true).value(), true);
    ASSERT_TRUE(wait_for_carrier(name_));
    EXPECT_EQ(write(1, rate).actual.max_tx_rate, 50U);
    auto kept = rich();
    kept.max_tx_rate = read(2).max_tx_rate;  // the driver drops rates when the link speed changes
    EXPECT_EQ(read(2), kept);
}

// ---- netdevsim: no limits but the kernel's own

class Netdevsim : public Machine, public testing::WithParamInterface<unsigned> {
protected:
    void prepare() override {
        if (::access("/sys/bus/netdevsim", F_OK) != 0) GTEST_SKIP() << "no netdevsim";
        write_file("/sys/bus/netdevsim/new_device", "1 1");
        write_file("/sys/kernel/debug/netdevsim/netdevsim1/max_vfs", "1024");
        const std::string device = "/sys/bus/netdevsim/devices/netdevsim1";
        write_file(device + "/sriov_numvfs", std::to_string(GetParam()));
        name_ = netdev_of(device);
        ifindex_ = static_cast<int>(if_nametoindex(name_.c_str()));
        ASSERT_GT(ifindex_, 0);
        created_ = true;
    }
    void TearDown() override {
        if (created_) write_file("/sys/bus/netdevsim/del_device", "1");
    }

private:
    bool created_ = false;
};

TEST_P(Netdevsim, ReadsAllAndWritesTheLast) {
    const unsigned last = GetParam() - 1;
    auto before = session().read_all(ifindex_);
    ASSERT_TRUE(before) << before.error().message();
    ASSERT_EQ(before->size(), GetParam());

    VfAttributes wanted;
    wanted.mac = *MacAddress::parse("52:54:00:aa:bb:02");
    wanted.vlan = 4094;
    wanted.qos = 7;
    wanted.vlan_protocol = VlanProtocol::dot1ad;
    wanted.spoof_check = true;
    wanted.trust = true;
    wanted.min_tx_rate = 10;
    wanted.max_tx_rate = 40'000;
    wanted.link_state = LinkState::disable;
    wanted.rss_query = true;
    EXPECT_EQ(write(last, wanted).actual, wanted);

    auto after = session().read_all(ifindex_);
    ASSERT_TRUE(after) << after.error().message();
    EXPECT_EQ(after->back(), wanted);
    before->back() = wanted;
    EXPECT_EQ(*after, *before) << "no other VF has changed";

    EXPECT_EQ(write(last, fresh()).actual, fresh());
}

// 222: a list with counters wraps; 335: one without.
INSTANTIATE_TEST_SUITE_P(Sizes, Netdevsim, testing::Values(1U, 335U, 1000U, 1024U));

// ---- devlink

TEST_F(Igb, HasNoSwitchToChoose) {
    auto devlink = Devlink::open("pci", "0000:01:00.0");
    // The stock kernel loads devlink with the first driver that has it.
    const auto error = devlink ? devlink->eswitch_mode().error() : devlink.error();
    EXPECT_EQ(error.code, Code::unsupported) << error.message();
}

TEST_F(Igb, SetsTheMtuOfThePf) {
    const auto before = session().set_mtu(ifindex_, 2000);
    ASSERT_TRUE(before) << before.error().message();
    EXPECT_EQ(session().set_mtu(ifindex_, *before).value(), 2000U);
    const auto refused = session().set_mtu(ifindex_, 60'000);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message(), HasSubstr("set the MTU of " + name_ + " to 60000"));
    EXPECT_EQ(session().set_mtu(99999, 1500).error().code, Code::lost);
}

class Switch : public Netdevsim {};

TEST_P(Switch, ChangesItsModeAndBack) {
    auto devlink = Devlink::open("netdevsim", "netdevsim1");
    ASSERT_TRUE(devlink) << devlink.error().message();
    EXPECT_EQ(devlink->eswitch_mode().value(), EswitchMode::legacy);
    EXPECT_EQ(devlink->set_eswitch_mode(EswitchMode::switchdev).value(), EswitchMode::legacy);
    EXPECT_EQ(devlink->eswitch_mode().value(), EswitchMode::switchdev);
    EXPECT_EQ(devlink->set_eswitch_mode(EswitchMode::switchdev).value(), EswitchMode::switchdev);
    const auto port = devlink->port_of_vf(3);
    ASSERT_TRUE(port) << port.error().message();
    ASSERT_TRUE(*port);
    EXPECT_EQ((*port)->index, 131U) << "NSIM_DEV_VF_PORT_INDEX_BASE and the index";
    EXPECT_EQ(devlink->port_of_vf(4).value(), std::nullopt);
    const auto refused = devlink->set_vf_mac(3, *MacAddress::parse("52:54:00:00:00:01"));
    EXPECT_EQ(refused.error().code, Code::unsupported);
    EXPECT_THAT(refused.error().message(), HasSubstr("no addresses of ports"));
    EXPECT_EQ(devlink->set_eswitch_mode(EswitchMode::legacy).value(), EswitchMode::switchdev);
    EXPECT_EQ(devlink->eswitch_mode().value(), EswitchMode::legacy);
    EXPECT_EQ(devlink->port_of_vf(3).value(), std::nullopt);

    auto nobody = Devlink::open("netdevsim", "netdevsim7");
    ASSERT_TRUE(nobody);
    EXPECT_EQ(nobody->eswitch_mode().error().code, Code::unsupported);
    EXPECT_THAT(nobody->set_eswitch_mode(EswitchMode::legacy).error().message(),
                HasSubstr("switch mode of netdevsim7"));
}

INSTANTIATE_TEST_SUITE_P(Sizes, Switch, testing::Values(4U));

class ManyVfs : public Netdevsim {
protected:
    // Every VF its own value of everything.
    static VfAttributes own(unsigned index) {
        VfAttributes wanted;
        wanted.mac = stable_mac("machine", "pf", index);
        wanted.vlan = static_cast<std::uint16_t>(1 + index);
        wanted.qos = static_cast<std::uint8_t>(index % 8);
        wanted.vlan_protocol = index % 2 == 0 ? VlanProtocol::dot1ad : VlanProtocol::dot1q;
        wanted.spoof_check = index % 3 == 0;
        wanted.trust = index % 5 == 0;
        wanted.min_tx_rate = index;
        wanted.max_tx_rate = 2000 + index;
        wanted.link_state = index % 2 == 0 ? LinkState::enable : LinkState::disable;
        wanted.rss_query = index % 7 == 0;
        return wanted;
    }
    std::vector<VfRequest> all_own() const {
        std::vector<VfRequest> requests;
        for (unsigned index = 0; index < GetParam(); ++index)
            requests.push_back({.index = index, .wanted = own(index)});
        return requests;
    }
};

TEST_P(ManyVfs, EachHasItsOwnOfEverything) {
    const auto results = session().write_many(ifindex_, all_own(), kTimeout);
    ASSERT_TRUE(results) << results.error().message();
    ASSERT_EQ(results->size(), GetParam());
    for (unsigned index = 0; index < GetParam(); ++index) {
        ASSERT_TRUE((*results)[index]) << (*results)[index].error().message();
        EXPECT_EQ((*results)[index]->actual, own(index)) << index;
    }
    const auto all = session().read_all(ifindex_);
    ASSERT_TRUE(all) << all.error().message();
    ASSERT_EQ(all->size(), GetParam());
    for (unsigned index = 0; index < GetParam(); ++index) EXPECT_EQ((*all)[index], own(index));
}

TEST_P(ManyVfs, LosesNoneToTheRefusalOfOne) {
    const auto before = session().read_all(ifindex_);
    ASSERT_TRUE(before) << before.error().message();
    auto requests = all_own();
    auto& refused = requests[GetParam() / 2].wanted;
    refused.node_guid = Guid{1};
    const auto results = session().write_many(ifindex_, requests, kTimeout);
    ASSERT_TRUE(results) << results.error().message();
    for (unsigned index = 0; index < GetParam(); ++index) {
        const auto& result = (*results)[index];
        ASSERT_EQ(result.has_value(), index != GetParam() / 2) << index;
    }
    const auto after = session().read_all(ifindex_);
    ASSERT_TRUE(after) << after.error().message();
    for (unsigned index = 0; index < GetParam(); ++index)
        EXPECT_EQ((*after)[index], (*results)[index] ? own(index) : (*before)[index]) << index;
    const auto& error = (*results)[GetParam() / 2].error();
    EXPECT_EQ(error.code, Code::unsupported);
    EXPECT_THAT(error.message(), HasSubstr("node_guid=00:00:00:00:00:00:00:01 on VF"));
}

// Compared by another way than rtnetlink: the driver shows the rates of VFs that have a port.
class VfsWithPorts : public ManyVfs {};

TEST_P(VfsWithPorts, HaveWhatWasRead) {
    ASSERT_TRUE(session().write_many(ifindex_, all_own(), kTimeout));
    const auto all = session().read_all(ifindex_);
    ASSERT_TRUE(all) << all.error().message();
    ASSERT_EQ(std::system("devlink dev eswitch set netdevsim/netdevsim1 mode switchdev"), 0);
    for (unsigned index = 0; index < GetParam(); ++index) {
        // NSIM_DEV_VF_PORT_INDEX_BASE
        const auto port =
            "/sys/kernel/debug/netdevsim/netdevsim1/ports/" + std::to_string(128 + index);
        unsigned least = 0;
        unsigned most = 0;
        std::ifstream(port + "/tx_share") >> least;
        std::ifstream(port + "/tx_max") >> most;
        EXPECT_EQ((*all)[index].min_tx_rate, least);
        EXPECT_EQ(least, index);
        EXPECT_EQ((*all)[index].max_tx_rate, most);
        EXPECT_EQ(most, 2000 + index);
    }
}

// A list of 340 wraps, and 340 ports take the driver a quarter of a minute.
INSTANTIATE_TEST_SUITE_P(Sizes, VfsWithPorts, testing::Values(1U, 340U));

INSTANTIATE_TEST_SUITE_P(Sizes, ManyVfs, testing::Values(1U, 221U, 222U, 256U, 334U, 1000U));

}  // namespace
}  // namespace vfb::nic
