// SPDX-License-Identifier: GPL-2.0-or-later
//
// Leases as a broker hands them out.
#pragma once

#include "fake_broker.hpp"

namespace vfb::test {

// Two functions by iommufd: the context first, then the cdevs.
inline Answer iommufd_lease() {
    const proto::Json lease = {
        {"id", 7},
        {"pool", "net"},
        {"backend", "iommufd"},
        {"owner", "connection"},
        {"handOff", "descriptors"},
        {"functions",
         {{{"address", "0000:01:10.0"}, {"generation", 3}, {"descriptor", 1}, {"node", nullptr}},
          {{"address", "0000:01:10.2"}, {"generation", 9}, {"descriptor", 2}}}},
        {"contextDescriptor", 0},
        {"groupDescriptors", proto::Json::array()}};
    Answer answer{.body = proto::make_reply({{"lease", lease}}), .descriptors = {}};
    for (int i = 0; i < 3; ++i) answer.descriptors.push_back(some_descriptor());
    return answer;
}

// One function by the group backend: container, group, device.
inline Answer group_lease() {
    const proto::Json lease = {
        {"id", 8},
        {"pool", "net"},
        {"backend", "group"},
        {"owner", "process"},
        {"handOff", "descriptors"},
        {"functions", {{{"address", "0000:01:10.0"}, {"generation", 4}, {"descriptor", 2}}}},
        {"contextDescriptor", 0},
        {"groupDescriptors", {1}}};
    Answer answer{.body = proto::make_reply({{"lease", lease}}), .descriptors = {}};
    for (int i = 0; i < 3; ++i) answer.descriptors.push_back(some_descriptor());
    return answer;
}

// One function whose node was lent.
inline Answer node_lease() {
    const proto::Json lease = {{"id", 9},
                               {"pool", "net"},
                               {"backend", "group"},
                               {"owner", "guest"},
                               {"handOff", "node"},
                               {"functions",
                                {{{"address", "0000:01:10.0"},
                                  {"generation", 5},
                                  {"descriptor", nullptr},
                                  {"node", "/dev/vfio/14"}}}},
                               {"contextDescriptor", nullptr},
                               {"groupDescriptors", proto::Json::array()}};
    return {.body = proto::make_reply({{"lease", lease}}), .descriptors = {}};
}

// One function with its kernel driver's network interface.
inline Answer netdev_lease() {
    const proto::Json lease = {{"id", 10},
                               {"pool", "net"},
                               {"backend", "iommufd"},
                               {"owner", "connection"},
                               {"handOff", "netdev"},
                               {"functions",
                                {{{"address", "0000:01:10.0"},
                                  {"generation", 6},
                                  {"descriptor", nullptr},
                                  {"node", nullptr},
                                  {"netdev", "enp1s0v0"}}}},
                               {"contextDescriptor", nullptr},
                               {"groupDescriptors", proto::Json::array()}};
    return {.body = proto::make_reply({{"lease", lease}}), .descriptors = {}};
}

inline Answer refusal() {
    return {.body = proto::make_error(
                proto::kFailed, {{"code", "busy"},
                                 {"errno", 0},
                                 {"operation", "lease from net"},
                                 {"subject", "net"},
                                 {"message", "cannot lease from net: all 7 functions are leased"},
                                 {"hint", "vfbroker leases"}}),
            .descriptors = {}};
}

}  // namespace vfb::test
