// SPDX-License-Identifier: GPL-2.0-or-later
#include "nic/devlink.hpp"

#include <fmt/format.h>
#include <linux/devlink.h>
#include <linux/genetlink.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "devlink_port.hpp"
#include "dump.hpp"
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
const nlattr* find(std::span<const std::byte> message, int type) {
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

template <class T>
std::optional<T> value_of(std::span<const std::byte> message, int type) {
    const auto* const attribute = find(message, type);
    return attribute == nullptr ? std::nullopt : payload<T>(attribute);
}

bool has_text(std::span<const std::byte> message, int type, const std::string& text) {
    const auto* const attribute = find(message, type);
    return attribute != nullptr && length_of(attribute) == text.size() + 1 &&
           std::memcmp(data_of(attribute), text.c_str(), text.size() + 1) == 0;
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
    const auto family = value_of<std::uint16_t>(answer.message, CTRL_ATTR_FAMILY_ID);
    if (!family) return fail(Code::failed, kOperation, {}, "its answer has no number");
    return *family;
}

}  // namespace

std::optional<Devlink::Port> parse_vf_port(std::span<const std::byte> message, unsigned vf) {
    const auto index = value_of<std::uint32_t>(message, DEVLINK_ATTR_PORT_INDEX);
    const auto flavour = value_of<std::uint16_t>(message, DEVLINK_ATTR_PORT_FLAVOUR);
    const auto number = value_of<std::uint16_t>(message, DEVLINK_ATTR_PORT_PCI_VF_NUMBER);
    // External: of a VF that another host sees, behind the same NIC.
    const bool external = value_of<std::uint8_t>(message, DEVLINK_ATTR_PORT_EXTERNAL) == 1;
    if (!index || flavour != DEVLINK_PORT_FLAVOUR_PCI_VF || number != vf || external)
        return std::nullopt;
    Devlink::Port port{.index = *index, .mac = {}};
    const auto* const function = find(message, DEVLINK_ATTR_PORT_FUNCTION);
    const auto* const address =
        function == nullptr ? nullptr : find_nested(function, DEVLINK_PORT_FUNCTION_ATTR_HW_ADDR);
    if (address != nullptr)
        if (const auto bytes = payload<std::array<std::uint8_t, 6>>(address))
            port.mac = MacAddress{*bytes};
    return port;
}

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
    const auto number = value_of<std::uint16_t>(answer.message, DEVLINK_ATTR_ESWITCH_MODE);
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

Result<std::optional<Devlink::Port>> Devlink::port_of_vf(unsigned vf) {
    std::optional<Port> found;
    const genlmsghdr request{
        .cmd = DEVLINK_CMD_PORT_GET, .version = DEVLINK_GENL_VERSION, .reserved = 0};
    // All ports of the host: older kernels leave none out.
    VFB_CHECK(dump(NETLINK_GENERIC, impl_->family, bytes_of(request), [&](nlmsghdr* header) {
        const std::span message(reinterpret_cast<const std::byte*>(header), header->nlmsg_len);
        if (!has_text(message, DEVLINK_ATTR_BUS_NAME, impl_->bus) ||
            !has_text(message, DEVLINK_ATTR_DEV_NAME, impl_->device))
            return;
        if (auto port = parse_vf_port(message, vf)) found = std::move(port);
    }));
    return found;
}

Result<> Devlink::set_vf_mac(unsigned vf, const MacAddress& mac) {
    const auto operation =
        fmt::format("give the port of VF {} of {} the address {}", vf, impl_->device, mac.str());
    VFB_TRY(const auto port, port_of_vf(vf));
    if (!port || !port->mac)
        return fail(Code::unsupported, operation, impl_->device,
                    port ? "its driver has no addresses of ports" : "there is no such port");
    if (*port->mac == mac) return {};
    auto request = impl_->request(DEVLINK_CMD_PORT_SET);
    request.put(DEVLINK_ATTR_PORT_INDEX, port->index);
    const auto function = request.open(DEVLINK_ATTR_PORT_FUNCTION | NLA_F_NESTED);
    request.put(DEVLINK_PORT_FUNCTION_ATTR_HW_ADDR, mac.bytes);
    request.close(function);
    VFB_CHECK(impl_->ask(std::move(request), operation));
    VFB_TRY(const auto now, port_of_vf(vf));
    if (!now || now->mac != mac)
        return fail(Code::failed, operation, impl_->device,
                    "the kernel took it, but it reads another");
    return {};
}

}  // namespace vfb::nic
