// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/sys_root.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>

namespace vfb {
namespace {

constexpr std::size_t kMaxAttribute = 64 * 1024;

struct CloseDir {
    void operator()(DIR* dir) const { ::closedir(dir); }
};

bool is_single_line(std::string_view value) {
    if (value == "\n") return true;  // how driver_override is cleared
    return std::ranges::none_of(value, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

}  // namespace

std::optional<std::int64_t> parse_number(std::string_view text) {
    int base = 10;
    const bool negative = text.starts_with('-');
    if (negative) text.remove_prefix(1);
    if (text.starts_with("0x") || text.starts_with("0X")) {
        base = 16;
        text.remove_prefix(2);
    }
    std::int64_t value = 0;
    const auto* end = text.data() + text.size();
    const auto [ptr, ec] = std::from_chars(text.data(), end, value, base);
    if (ec != std::errc{} || ptr != end || value < 0) return std::nullopt;
    return negative ? -value : value;
}

Result<Dir> Dir::open(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return fail_errno(errno, "open " + path, path);
    return Dir(std::move(fd), path);
}

std::string Dir::path(std::string_view name) const {
    if (name.empty()) return path_;
    return (path_ == "/" ? path_ : path_ + "/") + std::string(name);
}

Result<UniqueFd> Dir::open_file(const std::string& name, int flags) const {
    UniqueFd fd(::openat(fd_.get(), name.c_str(), flags | O_CLOEXEC));
    if (!fd) return fail_errno(errno, "open " + path(name), path(name));
    return fd;
}

Result<Dir> Dir::open_dir(const std::string& name) const {
    VFB_TRY(auto fd, open_file(name, O_RDONLY | O_DIRECTORY));
    return Dir(std::move(fd), path(name));
}

Result<std::string> Dir::read(const std::string& name) const {
    VFB_TRY(auto fd, open_file(name, O_RDONLY));
    // sysfs answers a whole attribute to the first read; almost all fit into the stack buffer.
    std::array<char, 512> buffer;
    std::string text;
    for (;;) {
        const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, "read " + path(name), path(name));
        text.append(buffer.data(), static_cast<std::size_t>(n));
        if (static_cast<std::size_t>(n) < buffer.size()) break;
        if (text.size() > kMaxAttribute)
            return fail(Code::invalid, "read " + path(name), path(name), "larger than 64 KiB");
    }
    if (text.ends_with('\n')) text.pop_back();
    return text;
}

Result<std::optional<std::string>> Dir::read_optional(const std::string& name) const {
    auto text = read(name);
    if (text) return std::optional(std::move(*text));
    if (text.error().errnum == ENOENT) return std::nullopt;
    return std::unexpected(std::move(text).error());
}

Result<std::uint64_t> Dir::read_number(const std::string& name) const {
    VFB_TRY(auto text, read(name));
    const auto value = parse_number(text);
    if (!value || *value < 0)
        return fail(Code::invalid, "read " + path(name), path(name),
                    "'" + text + "' is not a number");
    return static_cast<std::uint64_t>(*value);
}

Result<std::optional<std::int64_t>> Dir::read_number_optional(const std::string& name) const {
    VFB_TRY(auto text, read_optional(name));
    if (!text) return std::nullopt;
    const auto value = parse_number(*text);
    if (!value)
        return fail(Code::invalid, "read " + path(name), path(name),
                    "'" + *text + "' is not a number");
    return value;
}

Result<> Dir::write(const std::string& name, std::string_view value) const {
    const std::string operation =
        "write '" + std::string(value == "\n" ? "" : value) + "' to " + path(name);
    if (!is_single_line(value))
        return fail(Code::invalid, "write to " + path(name), path(name),
                    "the value holds control characters");
    VFB_TRY(auto fd, open_file(name, O_WRONLY));
    ssize_t n;
    do n = ::write(fd.get(), value.data(), value.size());
    while (n < 0 && errno == EINTR);
    if (n < 0) return fail_errno(errno, operation, path(name));
    if (static_cast<std::size_t>(n) != value.size())
        return fail(Code::failed, operation, path(name), "the kernel took only part of it");
    return {};
}

Result<std::string> Dir::read_link(const std::string& name) const {
    std::array<char, 4096> buffer;
    const ssize_t n = ::readlinkat(fd_.get(), name.c_str(), buffer.data(), buffer.size());
    if (n < 0) return fail_errno(errno, "read the link " + path(name), path(name));
    return std::string(buffer.data(), static_cast<std::size_t>(n));
}

Result<std::optional<std::string>> Dir::link_name(const std::string& name) const {
    auto target = read_link(name);
    if (!target) {
        if (target.error().errnum == ENOENT) return std::nullopt;
        return std::unexpected(std::move(target).error());
    }
    return target->substr(target->rfind('/') + 1);
}

Result<std::vector<std::string>> Dir::list(const std::string& name) const {
    VFB_TRY(auto fd, open_file(name.empty() ? "." : name, O_RDONLY | O_DIRECTORY));
    std::unique_ptr<DIR, CloseDir> dir(::fdopendir(fd.get()));
    if (!dir) return fail_errno(errno, "list " + path(name), path(name));
    (void)fd.release();  // owned by the stream now
    std::vector<std::string> names;
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(dir.get());
        if (entry == nullptr) {
            if (errno != 0) return fail_errno(errno, "list " + path(name), path(name));
            break;
        }
        const std::string_view text = entry->d_name;
        if (text != "." && text != "..") names.emplace_back(text);
    }
    std::ranges::sort(names);
    return names;
}

bool Dir::exists(const std::string& name) const {
    return ::faccessat(fd_.get(), name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

Result<Dir::Owner> Dir::owner(const std::string& name) const {
    struct stat st{};
    if (::fstatat(fd_.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
        return fail_errno(errno, "read the owner of " + path(name), path(name));
    return Owner{.uid = st.st_uid, .gid = st.st_gid, .mode = st.st_mode & 07777};
}

Result<> Dir::set_owner(const std::string& name, const Owner& wanted) const {
    const std::string operation = "give " + path(name) + " to uid " + std::to_string(wanted.uid);
    // Held by a descriptor, so that nothing can put a link to another file in its place between the
    // steps: chmod(2) would follow it. O_PATH opens no device.
    VFB_TRY(const auto node, open_file(name, O_PATH | O_NOFOLLOW));
    struct stat st{};
    if (::fstat(node.get(), &st) != 0) return fail_errno(errno, operation, path(name));
    if (S_ISLNK(st.st_mode))
        return fail(Code::invalid, operation, path(name), "it is a symbolic link");
    if (::fchownat(node.get(), "", wanted.uid, wanted.gid, AT_EMPTY_PATH) != 0)
        return fail_errno(errno, operation, path(name));
    // fchmod(2) takes no O_PATH descriptor, fchmodat2(2) came with Linux 6.6.
    if (::chmod(("/proc/self/fd/" + std::to_string(node.get())).c_str(), wanted.mode) != 0)
        return fail_errno(errno, operation, path(name));
    VFB_TRY(const auto now, owner(name));
    if (now != wanted)
        return fail(Code::failed, operation, path(name), "another program changed it at once");
    return {};
}

Result<SysRoot> SysRoot::host() {
    VFB_TRY(auto sys, Dir::open("/sys"));
    VFB_TRY(auto dev, Dir::open("/dev"));
    VFB_TRY(auto proc, Dir::open("/proc"));
    return SysRoot(std::move(sys), std::move(dev), std::move(proc), {});
}

Result<SysRoot> SysRoot::at(const std::string& root) {
    VFB_TRY(auto sys, Dir::open(root + "/sys"));
    VFB_TRY(auto dev, Dir::open(root + "/dev"));
    VFB_TRY(auto proc, Dir::open(root + "/proc"));
    return SysRoot(std::move(sys), std::move(dev), std::move(proc), root);
}

Result<Dir> SysRoot::modules() const {
    VFB_TRY(const auto release, proc_.read("sys/kernel/osrelease"));
    return Dir::open(root_ + "/lib/modules/" + release);
}

Result<Dir> SysRoot::folder(const std::string& path) const {
    return Dir::open(root_ + path);
}

}  // namespace vfb
