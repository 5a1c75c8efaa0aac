// SPDX-License-Identifier: GPL-2.0-or-later
#include "runtime_log.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <ctime>
#include <map>

#include "base/process.hpp"
#include "base/unique_fd.hpp"
#include "proto/json.hpp"

namespace vfb::cdi {
namespace {

void append(int fd, const std::string& line) {
    // Lost, if the runtime is gone: nobody is there to be told.
    (void)!::write(fd, line.data(), line.size());
}

std::string log_line(const std::string& text) {
    const proto::Json line{{"msg", text},
                           {"level", "error"},
                           {"time", fmt::format("{:%FT%TZ}", fmt::gmtime(::time(nullptr)))}};
    return line.dump(-1, ' ', false, proto::Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::optional<std::string> json_log_of(std::string_view command_line) {
    std::map<std::string, std::string> options{{"--log", ""}, {"--log-format", ""}};
    std::string before;
    while (!command_line.empty()) {
        const auto end = command_line.find('\0');
        const std::string word(command_line.substr(0, end));
        command_line.remove_prefix(end == std::string_view::npos ? command_line.size() : end + 1);
        const auto equals = word.find('=');
        if (options.contains(before))
            options[before] = word;
        else if (equals != std::string::npos && options.contains(word.substr(0, equals)))
            options[word.substr(0, equals)] = word.substr(equals + 1);
        before = word;
    }
    constexpr std::string_view kFile = "file:";
    std::string& log = options["--log"];
    if (log.starts_with(kFile)) log.erase(0, kFile.size());
    if (options["--log-format"] != "json" || !log.starts_with('/')) return std::nullopt;
    return log;
}

void tell_runtime(const SysRoot& root, pid_t runtime, const std::string& text) {
    if (process_name(root.proc(), runtime) != "crun") return;
    if (const auto error = root.proc().open_file(fmt::format("{}/fd/2", runtime),
                                                 O_WRONLY | O_NONBLOCK | O_APPEND))
        append(error->get(), text + "\n");
    const auto command_line = root.proc().read(fmt::format("{}/cmdline", runtime));
    const auto log = command_line ? json_log_of(*command_line) : std::nullopt;
    if (!log) return;
    if (const UniqueFd fd(::open(log->c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW)); fd)
        append(fd.get(), log_line(text));
}

}  // namespace vfb::cdi
