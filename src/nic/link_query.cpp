// SPDX-License-Identifier: GPL-2.0-or-later
#include "link_query.hpp"

#include <fmt/format.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/unique_fd.hpp"

namespace vfb::nic {

std::string vf_name(const Link& link, unsigned index) {
    return fmt::format("VF {} of {}", index, link.name);
}

std::string driver_of(const std::string& netdev) {
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ethtool_drvinfo info{};
    info.cmd = ETHTOOL_GDRVINFO;
    ifreq request{};
    netdev.copy(request.ifr_name, sizeof(request.ifr_name) - 1);
    request.ifr_data = reinterpret_cast<char*>(&info);
    if (!socket || ::ioctl(socket.get(), SIOCETHTOOL, &request) != 0) return {};
    return {info.driver, strnlen(info.driver, sizeof(info.driver))};
}

Result<Link> read_link(NetlinkSocket& socket, int ifindex) {
    const auto subject = fmt::format("ifindex {}", ifindex);
    const auto operation = "read the network device of " + subject;
    VFB_TRY(auto answer, socket.ask(get_link_message(ifindex)));
    if (answer.errnum == ENODEV || answer.errnum == EINVAL)
        return fail(Code::lost, operation, subject, "there is none (any more)");
    if (answer.errnum == EMSGSIZE)
        return fail_errno(EMSGSIZE, operation, subject,
                          "its VFs are more than the kernel can put into one answer",
                          "create fewer VFs on it");
    if (answer.errnum != 0) return fail_errno(answer.errnum, operation, subject, answer.text);
    return parse_link(std::move(answer.message));
}

Result<VfAttributes> attributes_of(const Link& link, unsigned index) {
    const auto count = link.vf_count.value_or(0);
    // The kernel asks for them in order: in a whole list the place is the index.
    if (index < count && link.vfs.size() == count) return link.vf(index);
    const auto name = vf_name(link, index);
    const auto operation = "read the attributes of " + name;
    if (index >= count)
        return fail(
            Code::not_found, operation, name,
            fmt::format("{} has {} VFs", link.name, count == 0 ? "no" : fmt::to_string(count)));
    if (link.vfs.empty())
        return fail(Code::unsupported, operation, name,
                    fmt::format("the driver of {} does not report them", link.name));
    for (std::size_t place = 0; place < link.vfs.size(); ++place)
        if (link.vfs[place].index == index) return link.vf(place);
    return fail(Code::busy, operation, name,
                fmt::format("the driver of {} does not answer for it now", link.name),
                "a VF that is being reset does not answer: try again");
}

Result<VfAttributes> read_vf(NetlinkSocket& socket, int ifindex, unsigned index) {
    VFB_TRY(const auto link, read_link(socket, ifindex));
    return attributes_of(link, index);
}

}  // namespace vfb::nic
