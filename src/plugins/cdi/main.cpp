// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker-cdi: gives containers functions of vfbrokerd by the Container Device Interface, see
// vfbroker-cdi(8).
#include <fmt/format.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <cstdio>

#include "base/process.hpp"
#include "hook.hpp"
#include "proto/connection.hpp"
#include "runtime_log.hpp"
#include "watch.hpp"

namespace vfb::cdi {
namespace {

constexpr int kRefused = 1;
constexpr int kUsage = 2;
constexpr std::size_t kMaxInput = std::size_t{1} << 20;

struct Options {
    std::string socket{proto::kSocketPath};
    std::string folder = "/var/run/cdi";
    Wanted wanted;
};

Result<State> read_state() {
    std::string text;
    std::array<char, 4096> buffer{};
    while (text.size() <= kMaxInput) {
        const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail_errno(errno, "read the container's state", {});
        if (count == 0) break;
        text.append(buffer.data(), static_cast<std::size_t>(count));
    }
    return parse_state(text);
}

void complain(const Error& error) {
    fmt::print(stderr, "vfbroker: {}\n", error.message());
    if (!error.hint.empty()) fmt::print(stderr, "hint: {}\n", error.hint);
}

// Of a message that it thinks to know, podman shows one line.
std::string in_one_line(const Error& error) {
    if (error.hint.empty()) return fmt::format("vfbroker: {}", error.message());
    return fmt::format("vfbroker: {} (hint: {})", error.message(), error.hint);
}

void log_hook(const Error& error) {
    ::openlog("vfbroker-cdi", LOG_PID, LOG_DAEMON);
    ::syslog(LOG_WARNING, "%s", error.message().c_str());
}

Result<Where> where(const Options& options) {
    VFB_TRY(auto program, own_program());
    return Where{.socket = options.socket, .folder = options.folder, .program = std::move(program)};
}

Result<> watch(const SysRoot& root, const Options& options) {
    VFB_TRY(const auto there, where(options));
    return keep_specs(there, root, complain, [] { (void)sd_notify(0, "READY=1"); });
}

Result<> write_once(const SysRoot& root, const Options& options) {
    VFB_TRY(const auto there, where(options));
    return write_specs(there, root, complain);
}

Result<> lease_hook(const SysRoot& root, const Options& options) {
    const auto answer = [&]() -> Result<> {
        VFB_TRY(const State state, read_state());
        return lease(root, options.socket, options.wanted, state);
    };
    auto done = answer();
    if (!done) {
        log_hook(done.error());
        tell_runtime(root, ::getppid(), in_one_line(done.error()));
    }
    return done;
}

// Nothing keeps a container from being removed: its lease ends with its process anyway.
Result<> release_hook(const SysRoot& root, const Options& options) {
    const auto answer = [&]() -> Result<> {
        VFB_TRY(const State state, read_state());
        return release(root, options.socket, state);
    };
    if (const auto done = answer(); !done) {
        log_hook(done.error());
        complain(done.error());
    }
    return {};
}

int run(int argc, char** argv) {
    CLI::App app(
        "Gives containers functions of vfbrokerd by the Container Device Interface; see "
        "vfbroker-cdi(8).");
    app.set_version_flag("--version", std::string("vfbroker-cdi ") + VFB_VERSION);
    app.require_subcommand(1);
    Options options;
    app.add_option("--socket", options.socket, "Where vfbrokerd listens")->capture_default_str();
    auto* watching = app.add_subcommand("watch", "Keep the specifications of all pools true");
    auto* writing = app.add_subcommand("write", "Write the specifications of all pools once");
    for (auto* command : {watching, writing})
        command->add_option("--folder", options.folder, "Of CDI specifications")
            ->capture_default_str();
    auto* leasing = app.add_subcommand("lease", "OCI hook createRuntime: lease for a container");
    leasing->add_option("--pool", options.wanted.pool, "To lease from")->required();
    leasing->add_option("--backend", options.wanted.backend, "iommufd or group")->required();
    leasing->add_option("--function", options.wanted.function, "This one; default: any");
    leasing->add_option("--node", options.wanted.nodes, "That the container is given for it");
    auto* releasing = app.add_subcommand("release", "OCI hook poststop: release");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : kUsage;
    }
    const auto root = SysRoot::host();
    Result<> done;
    if (!root)
        done = std::unexpected(root.error());
    else if (watching->parsed())
        done = watch(*root, options);
    else if (writing->parsed())
        done = write_once(*root, options);
    else if (leasing->parsed())
        done = lease_hook(*root, options);
    else if (releasing->parsed())
        done = release_hook(*root, options);
    if (done) return 0;
    complain(done.error());
    return kRefused;
}

}  // namespace
}  // namespace vfb::cdi

int main(int argc, char** argv) {
    try {
        return vfb::cdi::run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "vfbroker: %s\n", error.what());
        return vfb::cdi::kRefused;
    }
}
