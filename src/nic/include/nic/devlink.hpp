// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a NIC has by devlink (Documentation/networking/devlink), not by its netdev: the mode of its
// embedded switch, and the ports of that switch. Only the kernel's answer counts: every change is
// read back.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "nic/vf_attributes.hpp"

namespace vfb::nic {

// legacy: the NIC switches by MAC and VLAN on its own; switchdev: each VF has a port whose
// representor, a netdev of the host, stands for it in bridges and rules.
enum class EswitchMode { legacy, switchdev };
std::string_view to_string(EswitchMode mode);
std::optional<EswitchMode> eswitch_mode_from_string(std::string_view text);

// One device. One thread at a time. Blocks on the driver: belongs into a worker.
class Devlink {
public:
    // `bus` and `device` as devlink(8) writes them: `pci`, `0000:01:00.0`. Code::unsupported: this
    // kernel has no devlink.
    static Result<Devlink> open(std::string bus, std::string device);
    Devlink(Devlink&&) noexcept;
    Devlink& operator=(Devlink&&) noexcept;
    ~Devlink();

    // Code::unsupported: its driver has no devlink, or no switch.
    Result<EswitchMode> eswitch_mode();
    // Returns what it was before. Drivers differ in whether they allow it while there are VFs.
    Result<EswitchMode> set_eswitch_mode(EswitchMode mode);

    // The port of a VF in switchdev mode (devlink-port.rst), and the address that it gives the VF
    // ("port function"); absent: its driver has no addresses there.
    struct Port {
        std::uint32_t index = 0;
        std::optional<MacAddress> mac;
        bool operator==(const Port&) const = default;
    };
    // nullopt: the VF has no port.
    Result<std::optional<Port>> port_of_vf(unsigned vf);
    // Sets and reads back. Code::unsupported: there is no port, or no address of it.
    Result<> set_vf_mac(unsigned vf, const MacAddress& mac);

private:
    struct Impl;
    explicit Devlink(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace vfb::nic
