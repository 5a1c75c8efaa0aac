// SPDX-License-Identifier: GPL-2.0-or-later
#include "link_message.hpp"

#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace vfb::nic {
namespace {

constexpr int kHeaderLength = NLMSG_ALIGN(sizeof(ifinfomsg));

ifinfomsg header_of(int ifindex) {
    ifinfomsg header{};
    header.ifi_family = AF_UNSPEC;
    header.ifi_index = ifindex;
    return header;
}

std::unexpected<Error> malformed(const Link& link, std::string reason) {
    const auto subject = link.name.empty() ? "ifindex " + std::to_string(link.ifindex) : link.name;
    return fail(Code::failed, "read the VFs of " + subject, subject, std::move(reason));
}

Result<> check_order(const Link& link) {
    std::optional<std::uint32_t> last;
    for (const auto& place : link.vfs) {
        if (!place.index || place.index <= last || *place.index >= *link.vf_count)
            return malformed(link, "the kernel's list of VFs is not in their order");
        last = place.index;
    }
    return {};
}

// Reads IFLA_VFINFO_LIST, which ends at the latest where the message does (`room` bytes from the
// list's header).
//
// The length of the list's own header is not to be trusted: it has 16 bits and wraps silently when
// the list is longer (334 VFs), and the kernel puts no bound on that. Each entry's length is right
// though, and the number of VFs was sent before: so the entries are counted, and the header's
// length serves to prove that nothing was taken for an entry that is none. Of a list that wraps,
// each entry has to say as well which VF it is of.
Result<> read_vf_list(const nlattr* list, std::size_t room, Link& link) {
    const auto* const start = reinterpret_cast<const char*>(list);
    const auto* entry = reinterpret_cast<const nlattr*>(start + NLA_HDRLEN);
    auto left = static_cast<int>(room) - NLA_HDRLEN;
    while (link.vfs.size() < *link.vf_count && nla_ok(entry, left) &&
           nla_type(entry) == IFLA_VF_INFO) {
        const auto* const bytes = reinterpret_cast<const std::byte*>(entry);
        link.vfs.push_back({.offset = static_cast<std::size_t>(bytes - link.message.data()),
                            .index = index_of_vf(entry)});
        entry = nla_next(entry, &left);
    }
    // nla_next() aligns, and so may step over the end of a list without padding.
    const auto length = std::min<std::size_t>(
        static_cast<std::size_t>(reinterpret_cast<const char*>(entry) - start), room);
    if (static_cast<std::uint16_t>(length) != list->nla_len)
        return malformed(link, "the kernel's list of VFs is longer or shorter than it says");
    if (length > UINT16_MAX) return check_order(link);
    return {};
}

Result<> read_attribute(const nlattr* attribute, std::size_t room, Link& link) {
    switch (nla_type(attribute)) {
        case IFLA_IFNAME: {
            const auto* const text = static_cast<const char*>(nla_data(attribute));
            link.name.assign(text, strnlen(text, static_cast<std::size_t>(nla_len(attribute))));
            return {};
        }
        case IFLA_MTU:
            if (nla_len(attribute) >= static_cast<int>(sizeof(std::uint32_t)))
                link.mtu = nla_get_u32(attribute);
            return {};
        case IFLA_MIN_MTU:
            if (nla_len(attribute) >= static_cast<int>(sizeof(std::uint32_t)))
                link.least_mtu = nla_get_u32(attribute);
            return {};
        case IFLA_MAX_MTU:
            if (nla_len(attribute) >= static_cast<int>(sizeof(std::uint32_t)))
                link.most_mtu = nla_get_u32(attribute);
            return {};
        case IFLA_NUM_VF:
            if (nla_len(attribute) >= static_cast<int>(sizeof(std::uint32_t)))
                link.vf_count = nla_get_u32(attribute);
            return {};
        case IFLA_VFINFO_LIST:
            if (!link.vf_count) return malformed(link, "a list of VFs without their number");
            return read_vf_list(attribute, room, link);
        default:
            return {};
    }
}

}  // namespace

Messages get_link_message(int ifindex) {
    Messages messages;
    messages.begin(RTM_GETLINK, header_of(ifindex));
    messages.put<std::uint32_t>(IFLA_EXT_MASK, RTEXT_FILTER_VF | RTEXT_FILTER_SKIP_STATS);
    return messages;
}

void add_set_vf(Messages& messages, int ifindex, std::uint32_t vf, Encoder encode,
                const VfAttributes& all) {
    messages.begin(RTM_SETLINK, header_of(ifindex));
    const auto list = messages.open(IFLA_VFINFO_LIST);
    const auto info = messages.open(IFLA_VF_INFO);
    encode(messages, vf, all);
    messages.close(info);
    messages.close(list);
}

Messages set_up_message(int ifindex, bool up) {
    auto header = header_of(ifindex);
    header.ifi_flags = up ? IFF_UP : 0;
    header.ifi_change = IFF_UP;
    Messages messages;
    messages.begin(RTM_SETLINK, header);
    return messages;
}

Messages set_mtu_message(int ifindex, std::uint32_t mtu) {
    Messages messages;
    messages.begin(RTM_SETLINK, header_of(ifindex));
    messages.put(IFLA_MTU, mtu);
    return messages;
}

VfAttributes Link::vf(std::size_t place) const {
    return read_vf_attributes(reinterpret_cast<const nlattr*>(message.data() + vfs[place].offset));
}

Result<Link> parse_link(std::vector<std::byte> bytes) {
    Link link;
    link.message = std::move(bytes);
    const std::span<const std::byte> message = link.message;
    nlmsghdr header;
    ifinfomsg info;
    if (message.size() < NLMSG_HDRLEN + kHeaderLength)
        return malformed(link, "the kernel's answer is cut short");
    std::memcpy(&header, message.data(), sizeof(header));
    if (header.nlmsg_type != RTM_NEWLINK || header.nlmsg_len > message.size() ||
        header.nlmsg_len < NLMSG_HDRLEN + kHeaderLength)
        return malformed(link, "the kernel's answer is cut short or of another kind");
    std::memcpy(&info, message.data() + NLMSG_HDRLEN, sizeof(info));
    link.ifindex = info.ifi_index;
    link.up = (info.ifi_flags & IFF_UP) != 0;
    link.carrier = (info.ifi_flags & IFF_LOWER_UP) != 0;

    const auto body = message.subspan(NLMSG_HDRLEN + kHeaderLength,
                                      header.nlmsg_len - NLMSG_HDRLEN - kHeaderLength);
    auto left = static_cast<int>(body.size());
    const auto* attribute = reinterpret_cast<const nlattr*>(body.data());
    while (nla_ok(attribute, left)) {
        VFB_CHECK(read_attribute(attribute, static_cast<std::size_t>(left), link));
        // What stands after the list is of no use here, and if the list's length has wrapped,
        // there is no telling where it starts.
        if (nla_type(attribute) == IFLA_VFINFO_LIST) return link;
        attribute = nla_next(attribute, &left);
    }
    if (link.vf_count.value_or(0) != 0 && left >= NLA_HDRLEN)
        return malformed(link, "the kernel's answer is cut short");
    return link;
}

}  // namespace vfb::nic
