// SPDX-License-Identifier: GPL-2.0-or-later
//
// Commands of the system, for tests that run inside the emulated machine.
#pragma once

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

namespace vfb::pci::test {

// Exit status; 0 is success.
inline int run_command(const std::string& command) {
    return std::system(command.c_str());
}

inline std::string command_output(const std::string& command) {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "re"), ::pclose);
    std::string text;
    std::array<char, 4096> buffer;
    while (pipe && std::fgets(buffer.data(), buffer.size(), pipe.get()) != nullptr)
        text += buffer.data();
    return text;
}

}  // namespace vfb::pci::test
