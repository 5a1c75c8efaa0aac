// SPDX-License-Identifier: GPL-2.0-or-later
//
// Ports as net/devlink/port.c describes them. No driver of the emulated machine has addresses of
// port functions: what is sent is checked there, what is understood here.
#include <gtest/gtest.h>
#include <linux/devlink.h>
#include <linux/genetlink.h>

#include "devlink_port.hpp"
#include "messages.hpp"

namespace vfb::nic {
namespace {

struct Said {
    std::uint16_t flavour = DEVLINK_PORT_FLAVOUR_PCI_VF;
    std::uint16_t vf = 3;
    std::uint8_t external = 0;
    bool with_function = true;
    bool with_address = true;
};

Messages port(const Said& said) {
    Messages message;
    message.begin(20, genlmsghdr{.cmd = DEVLINK_CMD_PORT_NEW, .version = 1, .reserved = 0});
    message.put_text(DEVLINK_ATTR_BUS_NAME, "pci");
    message.put_text(DEVLINK_ATTR_DEV_NAME, "0000:01:00.0");
    message.put<std::uint32_t>(DEVLINK_ATTR_PORT_INDEX, 65540);
    message.put(DEVLINK_ATTR_PORT_FLAVOUR, said.flavour);
    message.put<std::uint16_t>(DEVLINK_ATTR_PORT_PCI_PF_NUMBER, 0);
    message.put(DEVLINK_ATTR_PORT_PCI_VF_NUMBER, said.vf);
    message.put(DEVLINK_ATTR_PORT_EXTERNAL, said.external);
    if (!said.with_function) return message;
    const auto function = message.open(DEVLINK_ATTR_PORT_FUNCTION | NLA_F_NESTED);
    if (said.with_address)
        message.put(DEVLINK_PORT_FUNCTION_ATTR_HW_ADDR,
                    MacAddress::parse("52:54:00:12:34:56")->bytes);
    message.put<std::uint8_t>(DEVLINK_PORT_FN_ATTR_STATE, 1);
    message.close(function);
    return message;
}

std::optional<Devlink::Port> parse(const Said& said, unsigned vf = 3) {
    const auto message = port(said);
    return parse_vf_port(message.bytes(0, 1), vf);
}

TEST(DevlinkPort, HasTheAddressOfItsFunction) {
    const auto found = parse({});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->index, 65540U);
    EXPECT_EQ(found->mac, *MacAddress::parse("52:54:00:12:34:56"));
    EXPECT_EQ(parse({.with_address = false})->mac, std::nullopt);
    EXPECT_EQ(parse({.with_function = false})->mac, std::nullopt);
}

TEST(DevlinkPort, IsOfOneVf) {
    EXPECT_FALSE(parse({}, 4));
    EXPECT_FALSE(parse({.flavour = DEVLINK_PORT_FLAVOUR_PCI_PF}));
    EXPECT_FALSE(parse({.external = 1})) << "another host's";
}

TEST(DevlinkPort, NeverReadsPastACutMessage) {
    const auto message = port({});
    const auto whole = message.bytes(0, 1);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const std::vector<std::byte> cut(whole.begin(),
                                         whole.begin() + static_cast<std::ptrdiff_t>(size));
        const auto found = parse_vf_port(cut, 3);
        EXPECT_TRUE(!found || !found->mac) << size;
    }
}

}  // namespace
}  // namespace vfb::nic
