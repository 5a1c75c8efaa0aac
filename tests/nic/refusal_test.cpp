// SPDX-License-Identifier: GPL-2.0-or-later
#include "refusal.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace vfb::nic {
namespace {

using testing::HasSubstr;

Change change_of(std::string_view name, int errnum, std::string text = {}) {
    for (const auto& attribute : attribute_table())
        if (attribute.info.name == name)
            return {.encode = attribute.encode,
                    .attributes = Rows(&attribute),
                    .answer = {.errnum = errnum, .text = std::move(text), .message = {}}};
    ADD_FAILURE() << name;
    return {};
}

Link pf0() {
    Link link;
    link.name = "pf0";
    link.up = true;
    link.carrier = true;
    link.vf_count = 4;
    return link;
}

class Refusal : public testing::Test {
protected:
    Error of(std::string_view name, int errnum, std::string text = {}) {
        return refusal(change_of(name, errnum, std::move(text)), link, 3, values);
    }
    Link link = pf0();
    VfAttributes values;
};

TEST_F(Refusal, NamesValueAndVf) {
    values.link_state = LinkState::disable;
    const auto error = of("link_state", EOPNOTSUPP);
    EXPECT_EQ(error.code, Code::unsupported);
    EXPECT_EQ(error.subject, "VF 3 of pf0");
    EXPECT_EQ(error.message(),
              "cannot set link_state=disable on VF 3 of pf0: the driver cannot set it: Operation "
              "not supported");
    EXPECT_THAT(error.hint, HasSubstr("default"));
}

TEST_F(Refusal, SaysWhichDriverDoesNotHaveIt) {
    link.driver = "igb";
    values.rss_query = true;
    EXPECT_EQ(of("rss_query", EOPNOTSUPP).message(),
              "cannot set rss_query=true on VF 3 of pf0: not supported by igb: Operation not "
              "supported");
    EXPECT_EQ(of("rss_query", EIO).message(),
              "cannot set rss_query=true on VF 3 of pf0: Input/output error");
}

TEST_F(Refusal, TellsTheReasonsOfARateApart) {
    values.max_tx_rate = 5000;
    EXPECT_THAT(of("max_tx_rate", EINVAL).hint, HasSubstr("link speed"));
    link.carrier = false;
    EXPECT_THAT(of("max_tx_rate", EINVAL).hint, HasSubstr("link is up"));
    values.min_tx_rate = 10;
    EXPECT_THAT(of("min_tx_rate", EINVAL).hint, HasSubstr("min_tx_rate at 0"));
    link.up = false;
    EXPECT_THAT(of("min_tx_rate", EINVAL).hint, HasSubstr("ip link set"));
}

TEST_F(Refusal, GivesTheDriversWordsFirst) {
    values.trust = true;
    const auto error = of("trust", EINVAL, "VF is in switchdev mode");
    EXPECT_THAT(error.message(), HasSubstr("VF is in switchdev mode"));
}

TEST_F(Refusal, HasCodesToActOn) {
    values.vlan = 1;
    values.vlan_protocol = VlanProtocol::dot1ad;
    EXPECT_EQ(of("vlan_protocol", EPROTONOSUPPORT).code, Code::unsupported);
    EXPECT_EQ(of("vlan", EPERM).code, Code::denied);
    EXPECT_EQ(of("vlan", EAGAIN).code, Code::busy);
    EXPECT_EQ(of("vlan", ENODEV).code, Code::lost);
    EXPECT_EQ(of("vlan", ENOMEM).code, Code::exhausted);
    EXPECT_EQ(of("vlan", EIO).code, Code::failed);
}

}  // namespace
}  // namespace vfb::nic
