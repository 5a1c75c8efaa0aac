// SPDX-License-Identifier: GPL-2.0-or-later
//
// Messages as the kernel sends them: one that was recorded, and lists built as
// net/core/rtnetlink.c builds them (with a 16-bit length that wraps).
#include "link_message.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <cstring>
#include <fstream>

#include "link_query.hpp"

namespace vfb::nic {
namespace {

using testing::HasSubstr;

using Bytes = std::vector<std::byte>;

Bytes recorded(const std::string& name) {
    std::ifstream file(std::string(VFB_TEST_DATA "/") + name);
    Bytes bytes;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with('#')) continue;
        for (std::size_t i = 0; i + 1 < line.size(); i += 2)
            bytes.push_back(static_cast<std::byte>(std::stoi(line.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

// Appends raw attributes; no library helps here, as the point is lengths that are wrong.
class Builder {
public:
    Builder() {
        bytes_.resize(NLMSG_HDRLEN + sizeof(ifinfomsg));
        ifinfomsg info{};
        info.ifi_index = 7;
        info.ifi_flags = IFF_UP;
        std::memcpy(bytes_.data() + NLMSG_HDRLEN, &info, sizeof(info));
        attribute(IFLA_IFNAME, "pf0", 4);
    }
    void attribute(int type, const void* data, std::size_t size) {
        const std::size_t start = open(type);
        const auto* const raw = static_cast<const std::byte*>(data);
        bytes_.insert(bytes_.end(), raw, raw + size);
        close(start);
    }
    std::size_t open(int type) {
        const std::size_t start = bytes_.size();
        const nlattr header{.nla_len = 0, .nla_type = static_cast<std::uint16_t>(type)};
        const auto* const raw = reinterpret_cast<const std::byte*>(&header);
        bytes_.insert(bytes_.end(), raw, raw + sizeof(header));
        return start;
    }
    void close(std::size_t start) {
        // As nla_nest_end(): truncated to 16 bits.
        const auto length = static_cast<std::uint16_t>(bytes_.size() - start);
        std::memcpy(bytes_.data() + start, &length, sizeof(length));
        bytes_.resize(NLMSG_ALIGN(bytes_.size()));
    }
    void number_of_vfs(std::uint32_t count) { attribute(IFLA_NUM_VF, &count, sizeof(count)); }
    void vf(std::uint32_t index, std::size_t stats_size = 0) {
        const auto info = open(IFLA_VF_INFO);
        ifla_vf_mac mac{.vf = index, .mac = {0x02, 0, 0, 0, 0, 0}};
        mac.mac[4] = static_cast<std::uint8_t>(index >> 8);
        mac.mac[5] = static_cast<std::uint8_t>(index);
        attribute(IFLA_VF_MAC, &mac, sizeof(mac));
        const std::string filler(stats_size, '\1');
        attribute(IFLA_VF_STATS, filler.data(), filler.size());
        close(info);
    }
    Bytes bytes() {
        nlmsghdr header{};
        header.nlmsg_len = static_cast<std::uint32_t>(bytes_.size());
        header.nlmsg_type = RTM_NEWLINK;
        std::memcpy(bytes_.data(), &header, sizeof(header));
        return bytes_;
    }

private:
    Bytes bytes_;
};

Bytes message_with(std::uint32_t declared, std::uint32_t listed, std::size_t stats_size = 0,
                   std::uint32_t first = 0) {
    Builder builder;
    builder.number_of_vfs(declared);
    const auto list = builder.open(IFLA_VFINFO_LIST);
    for (std::uint32_t i = 0; i < listed; ++i) builder.vf(first + i, stats_size);
    builder.close(list);
    const std::uint32_t group = 0;
    builder.attribute(IFLA_GROUP, &group, sizeof(group));
    return builder.bytes();
}

std::uint32_t index_in_mac(const VfAttributes& attributes) {
    return attributes.mac->bytes[4] << 8 | attributes.mac->bytes[5];
}

TEST(LinkMessage, ReadsARecordedOne) {
    const auto link = parse_link(recorded("igb-3vfs.hex"));
    ASSERT_TRUE(link) << link.error().message();
    EXPECT_EQ(link->name, "eth0");
    EXPECT_TRUE(link->up);
    EXPECT_TRUE(link->carrier);
    EXPECT_EQ(link->vf_count, 3U);
    ASSERT_EQ(link->vfs.size(), 3U);

    auto defaults = safe_defaults();
    defaults.rss_query.reset();  // the driver does not report it
    auto expected = defaults;
    expected.mac = MacAddress{};
    expected.max_tx_rate = 100;
    EXPECT_EQ(link->vf(0), expected);
    expected = defaults;
    expected.mac = *MacAddress::parse("52:54:00:00:00:01");
    expected.vlan = 100;
    expected.qos = 3;
    EXPECT_EQ(link->vf(1), expected);
    expected = defaults;
    expected.mac = MacAddress{};
    expected.trust = true;
    expected.spoof_check = false;
    EXPECT_EQ(link->vf(2), expected);
    EXPECT_EQ(link->vfs[2].index, 2U);
}

TEST(LinkMessage, NeverReadsPastACutOne) {
    const auto whole = recorded("igb-3vfs.hex");
    for (std::size_t size = 0; size < whole.size(); ++size) {
        // An allocation of its own, so that a sanitizer sees a read past the end.
        const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_FALSE(parse_link(cut)) << "the header says it is longer: " << size;
    }
}

TEST(LinkMessage, NeverReturnsPartOfACutList) {
    auto whole = recorded("igb-3vfs.hex");
    for (std::size_t size = NLMSG_HDRLEN; size < whole.size(); ++size) {
        Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        const auto length = static_cast<std::uint32_t>(size);
        std::memcpy(cut.data(), &length, sizeof(length));
        const auto link = parse_link(cut);
        EXPECT_TRUE(!link || link->vfs.empty() || link->vfs.size() == 3U) << size;
    }
}

TEST(LinkMessage, SurvivesAnyByteChanged) {
    const auto whole = recorded("igb-3vfs.hex");
    for (std::size_t at = NLMSG_HDRLEN; at < whole.size(); ++at)
        for (const int bits : {0x01, 0x80, 0xff}) {
            auto broken = whole;
            broken[at] ^= static_cast<std::byte>(bits);
            // No crash, no read past the end.
            if (const auto link = parse_link(broken))
                for (std::size_t place = 0; place < link->vfs.size(); ++place)
                    (void)link->vf(place);
        }
}

TEST(LinkMessage, CountsListsWhoseLengthWraps) {
    // 60 bytes a VF here: the length wraps at 1092.
    for (const std::uint32_t count : {0U, 1U, 1091U, 1092U, 1093U, 2000U, 4096U}) {
        const auto link = parse_link(message_with(count, count));
        ASSERT_TRUE(link) << count << ": " << link.error().message();
        ASSERT_EQ(link->vfs.size(), count);
        for (std::uint32_t i = 0; i < count; ++i) ASSERT_EQ(index_in_mac(link->vf(i)), i);
    }
}

TEST(LinkMessage, RefusesAListThatContradictsItself) {
    Builder builder;
    builder.number_of_vfs(3);
    const auto list = builder.open(IFLA_VFINFO_LIST);
    builder.vf(0);
    builder.close(list);
    // Looks like two more entries, but stands outside of the list.
    builder.vf(1);
    builder.vf(2);
    const auto link = parse_link(builder.bytes());
    ASSERT_FALSE(link);
    EXPECT_THAT(link.error().message(), HasSubstr("pf0"));
}

TEST(LinkMessage, RefusesALongListThatIsOutOfOrder) {
    const auto two_of_one = [](std::uint32_t at) {
        Builder builder;
        builder.number_of_vfs(2000);
        const auto list = builder.open(IFLA_VFINFO_LIST);
        for (std::uint32_t i = 0; i < 2000; ++i) builder.vf(i == at ? i - 1 : i);
        builder.close(list);
        return builder.bytes();
    };
    for (const std::uint32_t at : {1U, 1000U, 1999U}) EXPECT_FALSE(parse_link(two_of_one(at)));
}

TEST(LinkMessage, RefusesAListWithoutANumber) {
    Builder builder;
    const auto list = builder.open(IFLA_VFINFO_LIST);
    builder.vf(0);
    builder.close(list);
    EXPECT_FALSE(parse_link(builder.bytes()));
}

TEST(LinkMessage, SendsWhatItUnderstands) {
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
    VfAttributes read;
    for (const auto& attribute : attribute_table()) {
        Messages messages;
        add_set_vf(messages, 7, 5, attribute.encode, all);
        ASSERT_EQ(messages.size(), 1U);
        const auto bytes = messages.bytes(0, 1);
        Bytes copy(bytes.begin(), bytes.end());
        auto* const header = reinterpret_cast<nlmsghdr*>(copy.data());
        EXPECT_EQ(header->nlmsg_len, copy.size());
        auto* const list = nlmsg_find_attr(header, sizeof(ifinfomsg), IFLA_VFINFO_LIST);
        ASSERT_NE(list, nullptr);
        const auto* const info = static_cast<const nlattr*>(nla_data(list));
        const auto entry = read_vf_attributes(info);
        EXPECT_TRUE(attribute.is_set(entry)) << attribute.info.name;
        attribute.copy(read, entry);
        EXPECT_EQ(index_of_vf(info).value_or(5), 5U);
    }
    EXPECT_EQ(read, all);
}

TEST(Messages, StandOneBehindTheOther) {
    Messages messages;
    ifinfomsg info{};
    messages.begin(RTM_SETLINK, info);
    messages.put<std::uint8_t>(IFLA_VF_MAC, 1);
    messages.begin(RTM_GETLINK, info);
    messages.put_text(IFLA_IFNAME, "eth0");
    messages.number(1, 9);
    ASSERT_EQ(messages.size(), 2U);
    EXPECT_EQ(messages.start(1), 40U) << "a byte is padded to four";
    EXPECT_EQ(messages.bytes(0, 2).size(), 84U);
    nlmsghdr second;
    std::memcpy(&second, messages.bytes(1, 2).data(), sizeof second);
    EXPECT_EQ(second.nlmsg_len, 44U);
    EXPECT_EQ(second.nlmsg_seq, 9U);
    EXPECT_EQ(second.nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
}

TEST(VfOfLink, SaysWhatIsMissing) {
    auto link = *parse_link(message_with(4, 4));
    EXPECT_TRUE(attributes_of(link, 3));
    const auto beyond = attributes_of(link, 4);
    ASSERT_FALSE(beyond);
    EXPECT_EQ(beyond.error().code, Code::not_found);
    EXPECT_EQ(beyond.error().message(), "cannot read the attributes of VF 4 of pf0: pf0 has 4 VFs");

    // VF 0 is in reset: the driver left it out, and the places no longer are the indexes.
    link = *parse_link(message_with(4, 3, 0, 1));
    EXPECT_EQ(index_in_mac(*attributes_of(link, 1)), 1U);
    EXPECT_EQ(attributes_of(link, 0).error().code, Code::busy);

    link = *parse_link(message_with(4, 0));
    EXPECT_EQ(attributes_of(link, 0).error().code, Code::unsupported);
}

}  // namespace
}  // namespace vfb::nic
