// SPDX-License-Identifier: GPL-2.0-or-later
#include "nic/devlink.hpp"

#include <fmt/format.h>
#include <linux/devlink.h>
#include <linux/genetlink.h>

#include <array>
#include <cerrno>
#include <utility>

#include "nested.hpp"
#include "netlink_socket.hpp"

namespace vfb::nic {
namespace {

constexpr std::array<std::pair<EswitchMode, std::string_view>, 2> kModes{
    {{EswitchMode::legacy, "legacy"}, {EswitchMode::switchdev, "switchdev"}}};

std::uint16_t number_of(EswitchMode mode) {
    return mode == EswitchMode::switchdev ? DEVLINK_ESWITCH_MODE_SWITCHDEV
                                          : DEVLINK_ESWITCH_MODE_LEGACY;
}

// An attribute of an answer, nullptr: it has none. The attributes of generic netlink stand behind a
// header of four bytes, just as those of a list stand behind the list's own.
const nlattr* find(const std::vector<std::byte>& message, int type) {
    constexpr std::size_t kHeaders = NLMSG_HDRLEN + GENL_HDRLEN;
    std::size_t at = kHeaders;
    while (at + NLA_HDRLEN <= message.size()) {
        const auto* const attribute = reinterpret_cast<const nlattr*>(message.data() + at);
        if (attribute->nla_len < NLA_HDRLEN || at + attribute->nla_len > message.size()) break;
        if (type_of(attribute) == type) return attribute;
        at += NLA_ALIGN(attribute->nla_len);
    }
    return nullptr;
}

// Families have no fixed numbers: the kernel is asked by name.
Result<std::uint16_t> family_of(NetlinkSocket& socket) {
    constexpr const char* kOperation = "find devlink in the kernel";
    Messages request;
    request.begin(GENL_ID_CTRL, genlmsghdr{.cmd = CTRL_CMD_GETFAMILY, .version = 1, .reserved = 0});
    request.put_text(CTRL_ATTR_FAMILY_NAME, DEVLINK_GENL_NAME);
    VFB_TRY(const auto answer, socket.ask(std::move(request)));
    if (answer.errnum == ENOENT)
        return fail(Code::unsupported, kOperation, {}, "it has none",
                    "use a kernel with CONFIG_NET_DEVLINK");
    if (answer.errnum != 0) return fail_errno(answer.errnum, kOperation, {}, answer.text);
    const auto* const id = find(answer.message, CTRL_ATTR_FAMILY_ID);
    const auto family = id == nullptr ? std::nullopt : payload<std::uint16_t>(id);
    if (!family) return fail(Code::failed, kOperation, {}, "its answer has no number");
    return *family;
}

}  // namespace

std::string_view to_string(EswitchMode mode) {
    for (const auto& [entry, name] : kModes)
        if (entry == mode) return name;
    return "legacy";
}

std::optional<EswitchMode> eswitch_mode_from_string(std::string_view text) {
    for (const auto& [mode, name] : kModes)
        if (name == text) return mode;
    return std::nullopt;
}

struct Devlink::Impl {
    NetlinkSocket socket;
    std::uint16_t family;
    std::string bus;
    std::string device;

    [[nodiscard]] Messages request(std::uint8_t command) const {
        Messages message;
        message.begin(family,
                      genlmsghdr{.cmd = command, .version = DEVLINK_GENL_VERSION, .reserved = 0});
        message.put_text(DEVLINK_ATTR_BUS_NAME, bus);
        message.put_text(DEVLINK_ATTR_DEV_NAME, device);
        return message;
    }
    Result<Answer> ask(Messages message, const std::string& operation) {
        VFB_TRY(auto answer, socket.ask(std::move(message)));
        const auto subject = bus + "/" + device;
        if (answer.errnum == ENODEV || answer.errnum == EOPNOTSUPP)
            return fail(
                Code::unsupported, operation, subject,
                answer.text.empty() ? "its driver has none that can be chosen" : answer.text,
                "leave eswitch_mode out for this device");
        if (answer.errnum != 0)
            return fail_errno(answer.errnum, operation, subject, answer.text,
                              "some drivers change it only without VFs, others only while their "
                              "netdevs are down");
        return answer;
    }
};

Devlink::Devlink(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Devlink::Devlink(Devlink&&) noexcept = default;
Devlink& Devlink::operator=(Devlink&&) noexcept = default;
Devlink::~Devlink() = default;

Result<Devlink> Devlink::open(std::string bus, std::string device) {
    VFB_TRY(auto socket, NetlinkSocket::open(NETLINK_GENERIC));
    VFB_TRY(const auto family, family_of(socket));
    return Devlink(std::make_unique<Impl>(Impl{.socket = std::move(socket),
                                               .family = family,
                                               .bus = std::move(bus),
                                               .device = std::move(device)}));
}

Result<EswitchMode> Devlink::eswitch_mode() {
    const auto operation = fmt::format("read the switch mode of {}", impl_->device);
    VFB_TRY(const auto answer, impl_->ask(impl_->request(DEVLINK_CMD_ESWITCH_GET), operation));
    const auto* const attribute = find(answer.message, DEVLINK_ATTR_ESWITCH_MODE);
    const auto number = attribute == nullptr ? std::nullopt : payload<std::uint16_t>(attribute);
    for (const auto& [mode, name] : kModes)
        if (number == number_of(mode)) return mode;
    return fail(Code::unsupported, operation, impl_->device,
                number ? fmt::format("mode {} is unknown", *number) : "the driver does not say it");
}

Result<EswitchMode> Devlink::set_eswitch_mode(EswitchMode mode) {
    const auto operation =
        fmt::format("set the switch of {} to {} mode", impl_->device, to_string(mode));
    VFB_TRY(const auto before, eswitch_mode());
    if (before == mode) return before;
    auto request = impl_->request(DEVLINK_CMD_ESWITCH_SET);
    request.put(DEVLINK_ATTR_ESWITCH_MODE, number_of(mode));
    VFB_CHECK(impl_->ask(std::move(request), operation));
    VFB_TRY(const auto now, eswitch_mode());
    if (now != mode)
        return fail(Code::failed, operation, impl_->device,
                    fmt::format("the kernel took it, but it still reads {}", to_string(now)));
    return before;
}

}  // namespace vfb::nic
