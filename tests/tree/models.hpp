// SPDX-License-Identifier: GPL-2.0-or-later
//
// What stands in the generated host: real products, so that their names are in pci.ids.
#pragma once

#include <cstdint>
#include <string_view>

namespace vfb::tree {

struct Model {
    std::uint16_t vendor;
    std::uint16_t device;
    std::uint32_t class_code;
    std::string_view driver;
    std::uint64_t bar_size;
};

struct CardModel {
    Model pf;
    std::uint16_t vf_device;
    std::string_view vf_driver;
    std::uint16_t offset;
    std::uint16_t stride;
    std::uint16_t reserved_vfs;  // that the capability has and the driver does not use
    std::uint64_t vf_bar_size;
};

inline constexpr std::uint32_t kEthernet = 0x020000;
inline constexpr std::uint32_t kNvme = 0x010802;

inline constexpr CardModel kCards[] = {
    {{0x8086, 0x1572, kEthernet, "i40e", 0x800000}, 0x154c, "iavf", 16, 1, 0, 0x10000},
    {{0x8086, 0x10c9, kEthernet, "igb", 0x20000}, 0x10ca, "igbvf", 128, 2, 1, 0x4000},
    {{0x15b3, 0x1017, kEthernet, "mlx5_core", 0x2000000}, 0x1018, "mlx5_core", 1, 1, 0, 0x100000},
    {{0x144d, 0xa824, kNvme, "nvme", 0x8000}, 0xa824, "nvme", 1, 1, 2, 0x8000},
};

inline constexpr Model kEndpoints[] = {
    {0x144d, 0xa808, kNvme, "nvme", 0x4000},
    {0x8086, 0x0a54, kNvme, "nvme", 0x4000},
    {0x10de, 0x1db4, 0x030200, "nvidia", 0x1000000},
    {0x8086, 0x37c8, 0x0b4000, "c6xx", 0x40000},
    {0x1af4, 0x1041, kEthernet, "virtio-pci", 0x4000},
    {0x14e4, 0x16d7, kEthernet, "bnxt_en", 0x10000},
    {0x1000, 0x005d, 0x010400, "megaraid_sas", 0x10000},
    {0x10ee, 0x7038, 0x120000, "pci-stub", 0x10000},        // held back by hand
    {0x1234, 0xfffe, 0xff0000, "uio_pci_generic", 0x1000},  // not in pci.ids
    {0x1912, 0x0014, 0x0c0330, "xhci_hcd", 0x2000},
};

inline constexpr Model kHostBridge = {0x8086, 0x2020, 0x060000, "", 0};
inline constexpr Model kRootPort = {0x8086, 0x2030, 0x060400, "pcieport", 0};
inline constexpr Model kSwitchPort = {0x10b5, 0x8747, 0x060400, "pcieport", 0};
inline constexpr Model kPciBridge = {0x104c, 0x8240, 0x060400, "", 0};
inline constexpr Model kConventional = {0x8086, 0x100e, kEthernet, "e1000", 0x20000};

}  // namespace vfb::tree
