// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>

#include "attributes.hpp"
#include "link_query.hpp"
#include "nic/vf_attributes.hpp"
#include "vf_write.hpp"

namespace vfb::nic {
namespace {

// No PF has so many VFs that this is one of them, and no driver takes it for something else (mlx5
// has vports of its own at the end of 16 bits).
constexpr std::uint32_t kNoVf = 0x7000;

}  // namespace

struct Session::Impl {
    NetlinkSocket socket;
};

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Result<Session> Session::open() {
    VFB_TRY(auto socket, NetlinkSocket::open(NETLINK_ROUTE));
    return Session(std::make_unique<Impl>(Impl{.socket = std::move(socket)}));
}

Result<VfAttributes> Session::read(int ifindex, unsigned index) {
    return read_vf(impl_->socket, ifindex, index);
}

Result<std::vector<VfAttributes>> Session::read_all(int ifindex) {
    VFB_TRY(const auto link, read_link(impl_->socket, ifindex));
    const auto count = link.vf_count.value_or(0);
    if (link.vfs.size() != count)
        return fail(link.vfs.empty() ? Code::unsupported : Code::busy,
                    "read the attributes of all VFs of " + link.name, link.name,
                    fmt::format("the driver answers for {} of {} VFs", link.vfs.size(), count),
                    link.vfs.empty() ? "" : "a VF that is being reset does not answer: try again");
    std::vector<VfAttributes> all;
    all.reserve(count);
    for (std::size_t i = 0; i < count; ++i) all.push_back(link.vf(i));
    return all;
}

Result<WriteReport> Session::write(int ifindex, unsigned index, const VfAttributes& wanted,
                                   std::chrono::milliseconds timeout) {
    const VfRequest request{.index = index, .wanted = wanted};
    VFB_TRY(auto results, write_vfs(impl_->socket, ifindex, {&request, 1}, timeout));
    return std::move(results.front());
}

Result<std::vector<Result<WriteReport>>> Session::write_many(int ifindex,
                                                             std::span<const VfRequest> requests,
                                                             std::chrono::milliseconds timeout) {
    return write_vfs(impl_->socket, ifindex, requests, timeout);
}

Result<bool> Session::set_up(int ifindex, bool up) {
    VFB_TRY(const auto before, read_link(impl_->socket, ifindex));
    if (before.up == up) return before.up;
    const auto operation = fmt::format("set {} {}", before.name, up ? "up" : "down");
    // The driver has opened or closed the device when the kernel acknowledges.
    VFB_TRY(const auto answer, impl_->socket.ask(set_up_message(ifindex, up)));
    if (answer.errnum != 0) return fail_errno(answer.errnum, operation, before.name, answer.text);
    VFB_TRY(const auto after, read_link(impl_->socket, ifindex));
    if (after.up != up)
        return fail(Code::failed, operation, before.name, "another program undid it at once");
    return before.up;
}

Result<std::uint32_t> Session::set_mtu(int ifindex, std::uint32_t mtu) {
    VFB_TRY(const auto before, read_link(impl_->socket, ifindex));
    if (before.mtu == mtu) return before.mtu;
    const auto operation = fmt::format("set the MTU of {} to {}", before.name, mtu);
    VFB_TRY(const auto answer, impl_->socket.ask(set_mtu_message(ifindex, mtu)));
    if (answer.errnum != 0)
        return fail_errno(answer.errnum, operation, before.name, answer.text,
                          "ip -d link show tells the least and the most (minmtu, maxmtu)");
    VFB_TRY(const auto after, read_link(impl_->socket, ifindex));
    if (after.mtu != mtu)
        return fail(Code::failed, operation, before.name,
                    fmt::format("the kernel took it, but it reads {}", after.mtu));
    return before.mtu;
}

Result<LinkLimits> Session::limits(int ifindex, std::span<const std::string> attributes) {
    VFB_TRY(const auto link, read_link(impl_->socket, ifindex));
    LinkLimits limits{.least_mtu = link.least_mtu, .most_mtu = link.most_mtu, .lacking = {}};
    // Without VFs some drivers have none of them: EOPNOTSUPP for the spoof check of igb.
    if (link.vf_count.value_or(0) == 0) return limits;
    VfAttributes values;
    for (const auto& attribute : attribute_table()) attribute.set_default(values);
    for (const auto& attribute : attribute_table()) {
        if (std::ranges::find(attributes, attribute.info.name) == attributes.end()) continue;
        Messages message;
        add_set_vf(message, ifindex, kNoVf, attribute.encode, values);
        VFB_TRY(const auto answer, impl_->socket.ask(std::move(message)));
        // A driver that has it finds that there is no such VF; else the kernel has nobody to ask.
        if (answer.errnum == EOPNOTSUPP) limits.lacking.emplace_back(attribute.info.name);
    }
    return limits;
}

}  // namespace vfb::nic
