// SPDX-License-Identifier: GPL-2.0-or-later
//
// rtnetlink messages about one link: what is sent and what is understood (rtnetlink(7),
// uapi/linux/if_link.h). Parsing is pure: a message is bytes, from the kernel or from a test.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "attributes.hpp"
#include "base/result.hpp"
#include "messages.hpp"

namespace vfb::nic {

// RTM_GETLINK by index, with the list of VFs but without their counters: these make the list
// outgrow its 16-bit length at 222 VFs.
Messages get_link_message(int ifindex);
// RTM_SETLINK with one IFLA_VF_* attribute of one VF.
void add_set_vf(Messages& messages, int ifindex, std::uint32_t vf, Encoder encode,
                const VfAttributes& all);
// RTM_SETLINK that sets or clears IFF_UP and leaves all other flags.
Messages set_up_message(int ifindex, bool up);
// RTM_SETLINK with the MTU.
Messages set_mtu_message(int ifindex, std::uint32_t mtu);

struct Link {
    int ifindex = 0;
    std::string name;
    std::string driver;    // only known when somebody asked: driver_of()
    bool up = false;       // IFF_UP
    bool carrier = false;  // IFF_LOWER_UP
    std::uint32_t mtu = 0;
    std::uint32_t least_mtu = 0;
    std::uint32_t most_mtu = 0;  // 0: the driver names none
    // IFLA_NUM_VF: how many VFs there are; nullopt: no VFs on this kind of link.
    std::optional<std::uint32_t> vf_count;
    // What the driver answered for each VF, in order. Fewer than vf_count: it did not answer for
    // some. Only looked into on demand: who asks for one VF of many gets all, there is no other
    // request.
    struct Place {
        std::size_t offset = 0;              // in `message`
        std::optional<std::uint32_t> index;  // as the driver says it
    };
    std::vector<Place> vfs;
    std::vector<std::byte> message;

    [[nodiscard]] VfAttributes vf(std::size_t place) const;
};
// Parses one RTM_NEWLINK, header included. Code::failed when it is cut short, or when its list of
// VFs cannot be told from what follows it.
Result<Link> parse_link(std::vector<std::byte> message);

}  // namespace vfb::nic
