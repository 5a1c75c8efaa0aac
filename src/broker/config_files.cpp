// SPDX-License-Identifier: GPL-2.0-or-later
#include "config_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/sys_root.hpp"

namespace vfb::broker {
namespace {

Problem unreadable(std::string path, std::string why, std::string hint = {}) {
    return {.where = {.file = std::move(path)}, .text = std::move(why), .hint = std::move(hint)};
}

Problem unreadable(std::string path, const char* what, int errnum) {
    return unreadable(std::move(path), fmt::format("cannot {} it: {}", what, errno_text(errnum)),
                      errnum == EACCES ? "root can read it" : "");
}

Problem no_file(std::string path, const struct stat& found) {
    return unreadable(std::move(path),
                      S_ISDIR(found.st_mode) ? "it is a folder, and no file"
                                             : "it is a pipe, a socket or a device, and no file",
                      "only files end in .toml here: give it another name");
}

Problem too_large(std::string path) {
    return unreadable(
        std::move(path),
        fmt::format("it is larger than {} KiB, which no configuration is", kLargestFile >> 10),
        "is it something else that was copied here?");
}

// Its text, or what is in the way. The size that fstat(2) tells may be another by the time.
std::optional<Problem> read_file(const Dir& dir, const std::string& name, std::string& text) {
    const auto path = dir.path(name);
    const auto fd = dir.open_file(name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!fd) return unreadable(path, "open", fd.error().errnum);
    struct stat found{};
    if (::fstat(fd->get(), &found) != 0) return unreadable(path, "read", errno);
    if (!S_ISREG(found.st_mode)) return no_file(path, found);
    std::array<char, 16384> buffer;
    for (;;) {
        const ssize_t n = ::read(fd->get(), buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return unreadable(path, "read", errno);
        if (n == 0) return std::nullopt;
        text.append(buffer.data(), static_cast<std::size_t>(n));
        if (text.size() > kLargestFile) return too_large(path);
    }
}

}  // namespace

bool is_config_file(std::string_view name) {
    return name.ends_with(".toml") && !name.starts_with('.');
}

ConfigTexts read_config_files(const std::string& directory, const FileTexts& instead,
                              std::vector<Problem>& problems) {
    ConfigTexts texts;
    const auto path_of = [&](const std::string& name) { return directory + "/" + name; };
    for (const auto& [name, text] : instead)
        if (text) texts.emplace(path_of(name), *text);
    const auto dir = Dir::open(directory);
    if (!dir) {
        if (dir.error().errnum != ENOENT)
            problems.push_back(unreadable(directory, "open", dir.error().errnum));
        return texts;
    }
    const auto names = dir->list();
    if (!names) {
        problems.push_back(unreadable(directory, "list", names.error().errnum));
        return texts;
    }
    for (const auto& name : *names) {
        if (!is_config_file(name) || instead.contains(name)) continue;
        std::string text;
        if (auto problem = read_file(*dir, name, text))
            problems.push_back(std::move(*problem));
        else
            texts.emplace(path_of(name), std::move(text));
    }
    return texts;
}

}  // namespace vfb::broker
