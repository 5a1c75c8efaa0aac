// SPDX-License-Identifier: GPL-2.0-or-later
#include "folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "base/sys_root.hpp"
#include "base/unique_fd.hpp"
#include "spec.hpp"

namespace vfb::cdi {
namespace {

// Nothing, if it cannot be read: then it is written.
std::string content(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

Result<> write_whole(int fd, std::string_view text, const std::string& path) {
    while (!text.empty()) {
        const ssize_t count = ::write(fd, text.data(), text.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail_errno(errno, "write " + path, path);
        text.remove_prefix(static_cast<std::size_t>(count));
    }
    return {};
}

// Nobody ever reads half of it. Names that begin with a dot are passed over by those who read here.
Result<> replace(const std::string& folder, const std::string& name, const std::string& text) {
    const std::string path = fmt::format("{}/{}", folder, name);
    const std::string aside = fmt::format("{}/.{}.new", folder, name);
    constexpr mode_t kForAllToRead = 0644;
    const UniqueFd fd(::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                             kForAllToRead));
    if (!fd) return fail_errno(errno, "write " + path, path);
    auto written = write_whole(fd.get(), text, path);
    if (written && ::fchmod(fd.get(), kForAllToRead) != 0)
        written = fail_errno(errno, "write " + path, path);
    if (written && ::rename(aside.c_str(), path.c_str()) != 0)
        written = fail_errno(errno, "write " + path, path);
    if (!written) ::unlink(aside.c_str());
    return written;
}

}  // namespace

Result<> keep_files(const std::string& folder, const std::map<std::string, std::string>& wanted) {
    constexpr mode_t kMode = 0755;
    if (::mkdir(folder.c_str(), kMode) == 0) {
        // Whatever the umask.
        if (::chmod(folder.c_str(), kMode) != 0) return fail_errno(errno, "make " + folder, folder);
    } else if (errno != EEXIST) {
        return fail_errno(errno, "make " + folder, folder);
    }
    Result<> result;
    const auto note = [&result](Result<> one) {
        if (!one && result) result = std::move(one);
    };
    for (const auto& [name, text] : wanted)
        if (content(fmt::format("{}/{}", folder, name)) != text) note(replace(folder, name, text));
    VFB_TRY(const auto dir, Dir::open(folder));
    VFB_TRY(const auto names, dir.list());
    for (const std::string& name : names) {
        if (!is_file_name(name) || wanted.contains(name)) continue;
        const std::string path = fmt::format("{}/{}", folder, name);
        if (::unlink(path.c_str()) != 0 && errno != ENOENT)
            note(fail_errno(errno, "remove " + path, path));
    }
    return result;
}

}  // namespace vfb::cdi
