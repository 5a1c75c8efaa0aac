// SPDX-License-Identifier: GPL-2.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nic/vf_attributes.hpp"

namespace vfb::nic {
namespace {

using testing::HasSubstr;

// `text` as a range holds `in` and not `out`, both texts of a value.
void expect_range(std::string_view name, std::string_view text, std::vector<std::string> in,
                  std::vector<std::string> out) {
    const auto range = range_from_text(name, text);
    ASSERT_TRUE(range) << text << ": " << range.error().message();
    const auto holds = [&](const std::string& value) {
        VfAttributes attributes;
        EXPECT_TRUE(set_from_text(attributes, name, value)) << value;
        const auto number = value_number(attributes, name);
        return number && range->first <= *number && *number <= range->last;
    };
    for (const auto& value : in) EXPECT_TRUE(holds(value)) << text << " " << value;
    for (const auto& value : out) EXPECT_FALSE(holds(value)) << text << " " << value;
}

TEST(ValueRange, OfNumbers) {
    expect_range("vlan", "100-199", {"100", "150", "199"}, {"99", "200", "0"});
    expect_range("vlan", "300", {"300"}, {"299", "301"});
    expect_range("vlan", "0", {"0"}, {"1"});
    expect_range("qos", "0-3", {"0", "3"}, {"4"});
}

TEST(ValueRange, ARateAloneIsTheMost) {
    expect_range("max_tx_rate", "1000", {"1", "1000"}, {"0", "1001"});
    expect_range("max_tx_rate", "0-1000", {"0", "1000"}, {"1001"});
    expect_range("min_tx_rate", "100", {"0", "100"}, {"101"});
    EXPECT_EQ(range_from_text("max_tx_rate", "1000")->text, "1-1000");
    EXPECT_EQ(range_from_text("vlan", "100-199")->text, "100-199");
}

TEST(ValueRange, OfAddresses) {
    expect_range("mac", "52:54:00:*", {"52:54:00:00:00:00", "52:54:00:ff:ff:ff"},
                 {"52:54:01:00:00:00", "52:53:ff:ff:ff:ff"});
    expect_range("mac", "52:54:00:80:00:00/25", {"52:54:00:80:00:00", "52:54:00:ff:ff:ff"},
                 {"52:54:00:7f:ff:ff"});
    expect_range("mac", "52:54:00:00:00:01", {"52:54:00:00:00:01"}, {"52:54:00:00:00:02"});
    expect_range("mac", "52:54:00:00:00:01/48", {"52:54:00:00:00:01"}, {"52:54:00:00:00:00"});
    expect_range("mac", "00:00:00:00:00:00/0", {"52:54:00:00:00:01"}, {});
    expect_range("node_guid", "02:00:*", {"02:00:ff:ff:ff:ff:ff:ff"}, {"02:01:00:00:00:00:00:00"});
    expect_range("port_guid", "00:00:00:00:00:00:00:00/0", {"ff:ff:ff:ff:ff:ff:ff:ff"}, {});
}

TEST(ValueRange, OfWordsAndFlags) {
    expect_range("vlan_protocol", "802.1ad", {"802.1ad"}, {"802.1Q"});
    expect_range("link_state", "auto", {"auto"}, {"enable", "disable"});
    expect_range("trust", "false", {"false"}, {"true"});
}

TEST(ValueRange, SaysWhatIsWrong) {
    const std::tuple<const char*, const char*, const char*> cases[] = {
        {"vlan", "199-100", "is empty: its first value is above its last"},
        {"vlan", "100-", "its ends are each to be a number from 0 to 4094"},
        {"vlan", "100-4095", "its ends are each"},
        {"vlan", "1-2-3", "its ends are each"},
        {"vlan", "-1", "is not a number from 0 to 4094"},
        {"vlan", "", "is not a number"},
        {"vlan", "*", "is not a number"},
        {"max_tx_rate", "0", "without a bound"},
        {"mac", "52:54:00*", "is no address whose last bytes are a star"},
        {"mac", "*", "is no address whose last"},
        {"mac", "52:54:00:00:00:00:*", "is no address whose last"},
        {"mac", "5:54:*", "is no address whose last"},
        {"mac", "01:*", "no unicast address begins so"},
        {"mac", "52:54:00:00:00:01/24", "has bits set beyond the 24 that it fixes"},
        {"mac", "52:54:00:00:00:00/49", "a length from 0 to 48"},
        {"mac", "52:54:00:00:00:00/", "a length from 0 to 48"},
        {"mac", "52:54:00:00:00:00-52:54:00:00:00:ff", "is not a unicast address"},
        {"vlan_protocol", "802.1q", "is not 802.1Q or 802.1ad"},
        {"trust", "on", "is not true or false"},
    };
    for (const auto& [name, text, says] : cases) {
        const auto range = range_from_text(name, text);
        ASSERT_FALSE(range) << name << " " << text;
        EXPECT_EQ(range.error().code, Code::invalid);
        EXPECT_THAT(range.error().message(), HasSubstr(says)) << text;
    }
    EXPECT_EQ(range_from_text("vlam", "1").error().code, Code::not_found);
    EXPECT_EQ(value_number({}, "vlan"), std::nullopt);
}

}  // namespace
}  // namespace vfb::nic
