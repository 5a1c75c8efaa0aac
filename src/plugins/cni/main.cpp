// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbroker-cni: a plugin of the Container Network Interface that gives a container a VF of
// vfbrokerd.
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "commands.hpp"

namespace {

using vfb::cni::Command;
using vfb::cni::Environment;
using vfb::cni::Failure;
using vfb::cni::Outcome;
using vfb::proto::Json;

constexpr std::size_t kMaxInput = std::size_t{1} << 20;

std::string variable(const char* name) {
    const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread yet
    return value == nullptr ? "" : value;
}

Environment read_environment() {
    return {.command = variable("CNI_COMMAND"),
            .container = variable("CNI_CONTAINERID"),
            .netns = variable("CNI_NETNS"),
            .ifname = variable("CNI_IFNAME"),
            .args = variable("CNI_ARGS"),
            .path = variable("CNI_PATH")};
}

Outcome<std::string> read_input() {
    std::string text;
    std::array<char, 4096> buffer{};
    for (;;) {
        const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) continue;
        if (count == 0) return text;
        if (count > 0) text.append(buffer.data(), static_cast<std::size_t>(count));
        if (count < 0 || text.size() > kMaxInput)
            return std::unexpected(Failure(
                vfb::cni::kIo, "cannot read the network's configuration from standard input",
                "the container runtime passes it there: see its log"));
    }
}

Outcome<Json> run(const Environment& environment, const std::string& input) {
    VFB_TRY(const Command command, vfb::cni::read_command(environment));
    switch (command) {
        case Command::add:
            return vfb::cni::add(environment, input);
        case Command::del:
            return vfb::cni::del(environment, input);
        case Command::check:
            return vfb::cni::check(environment, input);
        case Command::gc:
            return vfb::cni::collect_garbage(environment, input);
        case Command::status:
            return vfb::cni::status(environment, input);
        case Command::version:
            return vfb::cni::version(input);
    }
    return Json();
}

bool print(const Json& json) {
    const auto text = json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
           std::fflush(stdout) == 0;
}

// Somebody at a terminal, or one who asks for help: not a container runtime.
bool is_person(int count, const Environment& environment) {
    return count > 1 || (environment.command.empty() && ::isatty(STDIN_FILENO) != 0);
}

}  // namespace

int main(int count, char**) {
    const auto environment = read_environment();
    if (is_person(count, environment)) {
        fmt::print(
            "vfbroker-cni {}: gives containers VFs of vfbrokerd.\n"
            "Container runtimes call it, by the Container Network Interface: see "
            "vfbroker-cni(8).\n",
            VFB_VERSION);
        return 0;
    }
    std::string input;
    auto read = read_input();
    if (read) input = std::move(*read);
    const auto result = read ? run(environment, input) : std::unexpected(read.error());
    if (!result) {
        (void)print(vfb::cni::to_json(result.error(), vfb::cni::version_of(input)));
        return 1;
    }
    return result->is_null() || print(*result) ? 0 : 1;
}
