// SPDX-License-Identifier: GPL-2.0-or-later
#include "ipam.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "base/unique_fd.hpp"

namespace vfb::cni {
namespace {

using proto::Json;

constexpr std::size_t kMaxOutput = std::size_t{1} << 20;

Outcome<std::string> find_plugin(const std::string& plugin, const std::string& path) {
    std::string_view rest = path;
    while (!rest.empty()) {
        const auto end = rest.find(':');
        auto file = fmt::format("{}/{}", rest.substr(0, end), plugin);
        if (end != 0 && ::access(file.c_str(), X_OK) == 0) return file;
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    }
    return std::unexpected(
        Failure(kInvalidEnvironment,
                fmt::format("cannot run the IPAM plugin {}: it is in no folder of CNI_PATH ({})",
                            plugin, path),
                "install it (Debian: containernetworking-plugins, below /usr/lib/cni), or have the "
                "container runtime look there"));
}

std::vector<std::string> environment_with(const std::string& command) {
    constexpr std::string_view kCommand = "CNI_COMMAND=";
    std::vector<std::string> variables;
    for (char** entry = ::environ; *entry != nullptr; ++entry)
        if (!std::string_view(*entry).starts_with(kCommand)) variables.emplace_back(*entry);
    variables.push_back(std::string(kCommand) + command);
    return variables;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (auto& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
}

// A file, not a pipe: it takes all before anybody reads.
Result<UniqueFd> input_of(const std::string& text, const std::string& file) {
    UniqueFd input(::memfd_create("cni-config", MFD_CLOEXEC));
    const bool written = input && ::write(input.get(), text.data(), text.size()) ==
                                      static_cast<ssize_t>(text.size());
    if (!written || ::lseek(input.get(), 0, SEEK_SET) != 0)
        return fail_errno(errno, "run " + file, file, "its input cannot be prepared");
    return input;
}

Result<std::string> read_all(int fd, const std::string& file) {
    std::string text;
    std::array<char, 4096> buffer{};
    for (;;) {
        const ssize_t count = ::read(fd, buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail_errno(errno, "read the output of " + file, file);
        if (count == 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(count));
        if (text.size() > kMaxOutput)
            return fail(Code::protocol, "read the output of " + file, file, "it does not end");
    }
}

class FileActions {
public:
    FileActions() { ::posix_spawn_file_actions_init(&actions_); }
    FileActions(const FileActions&) = delete;
    FileActions& operator=(const FileActions&) = delete;
    ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
    void put(int from, int to) { ::posix_spawn_file_actions_adddup2(&actions_, from, to); }
    [[nodiscard]] const posix_spawn_file_actions_t* get() const { return &actions_; }

private:
    posix_spawn_file_actions_t actions_{};
};

struct Ended {
    std::string output;
    int status = 0;
};

Result<Ended> run(const std::string& file, const std::string& command, const std::string& input) {
    VFB_TRY(const auto in, input_of(input, file));
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "run " + file, file);
    const UniqueFd out(ends[0]);
    UniqueFd child_out(ends[1]);
    FileActions actions;
    actions.put(in.get(), STDIN_FILENO);
    actions.put(child_out.get(), STDOUT_FILENO);
    std::vector<std::string> words{file};
    auto variables = environment_with(command);
    pid_t pid = -1;
    const int failed = ::posix_spawn(&pid, file.c_str(), actions.get(), nullptr,
                                     pointers_to(words).data(), pointers_to(variables).data());
    if (failed != 0) return fail_errno(failed, "run " + file, file);
    child_out.reset();
    auto output = read_all(out.get(), file);
    Ended ended;
    while (::waitpid(pid, &ended.status, 0) < 0 && errno == EINTR) {
    }
    VFB_TRY(ended.output, std::move(output));
    return ended;
}

Failure failure_of(const std::string& file, const Ended& ended, const Json& said) {
    if (said.is_object() && said.contains("code") && said["code"].is_number_integer() &&
        said.contains("msg") && said["msg"].is_string())
        return {said["code"].get<int>(),
                fmt::format("{}: {}", file, said["msg"].get<std::string>()),
                said.contains("details") && said["details"].is_string()
                    ? said["details"].get<std::string>()
                    : ""};
    return {kIo,
            WIFSIGNALED(ended.status)
                ? fmt::format("{} was ended by signal {}", file, WTERMSIG(ended.status))
                : fmt::format("{} failed (exit status {}) and said: {}", file,
                              WEXITSTATUS(ended.status), ended.output),
            "its own words, if any, are in the log of the container runtime"};
}

}  // namespace

Outcome<Json> delegate(const std::string& plugin, const std::string& command,
                       const Environment& environment, const Config& config) {
    VFB_TRY(const std::string file, find_plugin(plugin, environment.path));
    VFB_TRY(const Ended ended, run(file, command, config.text));
    Json said = Json::parse(ended.output, nullptr, false);
    if (said.is_discarded()) said = nullptr;
    if (ended.status == 0) return said;
    return std::unexpected(failure_of(file, ended, said));
}

}  // namespace vfb::cni
