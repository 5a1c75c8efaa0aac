// SPDX-License-Identifier: GPL-2.0-or-later
//
// The kernel's answers, as they come in messages (uapi/rdma/rdma_netlink.h).
#include "rdma.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <rdma/rdma_netlink.h>

#include <algorithm>
#include <cstring>

#include "messages.hpp"

namespace vfb::nic {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct OfDevice {
    nlattr attribute{.nla_len = NLA_HDRLEN + 4, .nla_type = RDMA_NLDEV_ATTR_DEV_INDEX};
    std::uint32_t index = 0;
};

const RdmaKind& kind(const std::string& name) {
    return *std::ranges::find_if(rdma_kinds(), [&](const auto& each) { return each.name == name; });
}

// One answer to a dump of a kind of object.
class Answer {
public:
    explicit Answer(const std::string& name) : kind_(kind(name)) {
        messages_.begin(RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, kind_.command), OfDevice{});
        list_ = messages_.open(kind_.list);
    }
    Answer& process(std::uint32_t pid) {
        const auto entry = messages_.open(kind_.entry);
        messages_.put(RDMA_NLDEV_ATTR_RES_PID, pid);
        messages_.close(entry);
        return *this;
    }
    Answer& kernel(const std::string& name) {
        const auto entry = messages_.open(kind_.entry);
        messages_.put_text(RDMA_NLDEV_ATTR_RES_KERN_NAME, name);
        messages_.close(entry);
        return *this;
    }
    // A process of another PID namespace.
    Answer& nameless() {
        messages_.close(messages_.open(kind_.entry));
        return *this;
    }
    template <class Address>
    Answer& listener(const Address& address) {
        sockaddr_storage storage{};
        std::memcpy(&storage, &address, sizeof address);
        const auto entry = messages_.open(kind_.entry);
        messages_.put(RDMA_NLDEV_ATTR_RES_PID, std::uint32_t{812});
        messages_.put(RDMA_NLDEV_ATTR_RES_SRC_ADDR, storage);
        messages_.close(entry);
        return *this;
    }
    void read(std::vector<RdmaUser>& users) {
        messages_.close(list_);
        const auto bytes = messages_.bytes(0, 1);
        std::vector<std::byte> copy(bytes.begin(), bytes.end());
        add_rdma_users(reinterpret_cast<nlmsghdr*>(copy.data()), kind_, users);
    }

private:
    const RdmaKind& kind_;
    Messages messages_;
    std::size_t list_ = 0;
};

TEST(Rdma, ObjectsAreCountedByUser) {
    std::vector<RdmaUser> users;
    Answer("context").process(812).read(users);
    Answer("PD").kernel("nvme_rdma").process(812).nameless().read(users);
    Answer("QP").process(812).process(812).read(users);
    EXPECT_THAT(users,
                ElementsAre(RdmaUser{.pid = 812,
                                     .kernel_name = {},
                                     .objects = {{"PD", 1}, {"QP", 2}, {"context", 1}}},
                            RdmaUser{.pid = 0, .kernel_name = "nvme_rdma", .objects = {{"PD", 1}}},
                            RdmaUser{.pid = 0, .kernel_name = {}, .objects = {{"PD", 1}}}));
}

TEST(Rdma, WhatEveryDeviceHasIsNoUse) {
    std::vector<RdmaUser> users;
    Answer("PD").kernel("ib_core").kernel("mlx5_ib").kernel("ib_ipoib").read(users);
    EXPECT_THAT(users, IsEmpty());
}

TEST(Rdma, WhoListensAtAllAddressesUsesNoDevice) {
    std::vector<RdmaUser> users;
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    Answer("CM ID").listener(v4).listener(v6).read(users);
    EXPECT_THAT(users, IsEmpty());
    ASSERT_EQ(::inet_pton(AF_INET, "192.0.2.1", &v4.sin_addr), 1);
    v6.sin6_addr = in6addr_loopback;
    Answer("CM ID").listener(v4).listener(v6).read(users);
    EXPECT_THAT(users,
                ElementsAre(RdmaUser{.pid = 812, .kernel_name = {}, .objects = {{"CM ID", 2}}}));
}

TEST(Rdma, AnswersWithoutTheListHaveNoUsers) {
    std::vector<RdmaUser> users;
    Messages messages;
    messages.begin(RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_RES_QP_GET), OfDevice{});
    const auto bytes = messages.bytes(0, 1);
    std::vector<std::byte> copy(bytes.begin(), bytes.end());
    add_rdma_users(reinterpret_cast<nlmsghdr*>(copy.data()), kind("QP"), users);
    EXPECT_THAT(users, IsEmpty());
}

TEST(Rdma, ThePathSaysWhoseADeviceIs) {
    EXPECT_EQ(
        pci_address_in("../../devices/pci0000:00/0000:00:02.0/0000:01:10.0/infiniband/mlx5_2"),
        "0000:01:10.0");
    EXPECT_EQ(pci_address_in("../../devices/pci10000:e0/10000:e1:00.1/mlx5_core.sf.2/infiniband/m"),
              "10000:e1:00.1");
    EXPECT_EQ(pci_address_in("../../devices/virtual/infiniband/rxe0"), "");
    EXPECT_EQ(pci_address_in(""), "");
}

}  // namespace
}  // namespace vfb::nic
