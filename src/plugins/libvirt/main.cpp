// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker-libvirt-hook: libvirt's hook for QEMU domains, see vfbroker-libvirt-hook(8).
#include <fmt/format.h>
#include <syslog.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <span>

#include "domain.hpp"
#include "hook.hpp"
#include "proto/connection.hpp"

namespace vfb::libvirt {
namespace {

constexpr int kRefused = 1;
constexpr int kUsage = 2;
constexpr const char* kHelp =
    "Usage: vfbroker-libvirt-hook DOMAIN OPERATION SUB-OPERATION EXTRA <XML\n"
    "libvirt's hook for QEMU domains: leases their functions from vfbrokerd, and releases them.\n"
    "libvirt calls it: ln -s /usr/sbin/vfbroker-libvirt-hook /etc/libvirt/hooks/qemu.d/vfbroker\n"
    "See vfbroker-libvirt-hook(8).\n";

// One byte more than there may be tells that there was too much.
Result<std::string> read_input() {
    std::string text;
    std::array<char, 1 << 16> buffer{};
    while (text.size() <= kMaxXml) {
        const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail_errno(errno, "read the domain's XML", {});
        if (count == 0) break;
        text.append(buffer.data(), static_cast<std::size_t>(count));
    }
    return text;
}

Result<> answer(const Call& call) {
    VFB_TRY(const std::string xml, read_input());
    VFB_TRY(const SysRoot root, SysRoot::host());
    return run_hook(
        {.root = root, .socket = std::string(proto::kSocketPath), .caller = ::getppid()}, call,
        xml);
}

int run(std::span<char*> arguments) {
    if (arguments.size() == 2 && std::string_view(arguments[1]) == "--help") {
        std::fputs(kHelp, stdout);
        return 0;
    }
    if (arguments.size() == 2 && std::string_view(arguments[1]) == "--version") {
        fmt::print("vfbroker-libvirt-hook {}\n", VFB_VERSION);
        return 0;
    }
    if (arguments.size() < 4) {
        std::fputs(kHelp, stderr);
        return kUsage;
    }
    const Call call{.operation = arguments[2], .sub_operation = arguments[3]};
    const auto done = answer(call);
    if (done) return 0;
    const Error& error = done.error();
    // libvirt passes this on to whoever asked for the start.
    fmt::print(stderr, "vfbroker: {}\n", error.message());
    if (!error.hint.empty()) fmt::print(stderr, "hint: {}\n", error.hint);
    // And says nothing of it elsewhere.
    ::openlog("vfbroker-libvirt-hook", LOG_PID, LOG_DAEMON);
    ::syslog(LOG_WARNING, "%s", error.message().c_str());
    // A running domain dies of a hook that fails when libvirt comes back.
    return call.operation == "reconnect" ? 0 : kRefused;
}

}  // namespace
}  // namespace vfb::libvirt

int main(int argc, char** argv) {
    try {
        return vfb::libvirt::run({argv, static_cast<std::size_t>(argc)});
    } catch (const std::exception& error) {
        std::fprintf(stderr, "vfbroker: %s\n", error.what());
        // As above: whatever it is, it is no reason to kill a domain.
        return argc > 2 && std::string_view(argv[2]) == "reconnect" ? 0 : vfb::libvirt::kRefused;
    }
}
