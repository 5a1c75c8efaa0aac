// SPDX-License-Identifier: GPL-2.0-or-later
//
// Names: vendor, device and class names by libpci (pci.ids, then udev's hwdb), each looked up once.
// One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/result.hpp"

struct pci_access;

namespace vfb::pci {

class Names {
public:
    // `file` empty: where libpci looks by itself. It is read at the first look-up.
    explicit Names(const std::string& file = {});

    // Reads the file now, which takes some ten milliseconds.
    void load() { vendor(0x8086); }

    // Empty when the databases do not know it.
    const std::string& vendor(std::uint16_t vendor);
    const std::string& device(std::uint16_t vendor, std::uint16_t device);
    const std::string& class_name(std::uint32_t class_code);

    // What libpci complained of since the last call (a malformed pci.ids, say). It would have
    // ended the process; here the names are empty.
    std::optional<Error> take_error();

private:
    struct Free {
        void operator()(pci_access* access) const;
    };
    std::string look_up(int flags, int first, int second = -1);

    std::unique_ptr<pci_access, Free> access_;
    std::unordered_map<std::uint64_t, std::string> cache_;
    std::optional<Error> error_;
};

}  // namespace vfb::pci
