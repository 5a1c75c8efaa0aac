// SPDX-License-Identifier: LGPL-2.1-or-later
//
// SysRoot: the one place that knows where sysfs, devfs and procfs are.
//
// Everything that reads or writes the kernel's file trees gets a SysRoot by constructor and uses
// relative paths below it (`bus/pci/devices/...`). Tests pass the root of a recorded tree. No
// environment variable redirects it. All paths are resolved by openat(2) from a directory
// descriptor that is opened once.
//
// Thread-safe: all members are const and use only positional calls.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace vfb {

// An open directory. Relative paths only; a failing call names the whole path.
class Dir {
public:
    // `path` is opened now (O_PATH is not used: the directory must be listable).
    static Result<Dir> open(const std::string& path);

    // Content of a small attribute file, one trailing newline removed. At most 64 KiB.
    [[nodiscard]] Result<std::string> read(const std::string& name) const;
    // The same, and nullopt when there is no such file: an absent attribute is not an error, an
    // unreadable one is.
    [[nodiscard]] Result<std::optional<std::string>> read_optional(const std::string& name) const;
    // An attribute that is one number, decimal or 0x-hexadecimal.
    [[nodiscard]] Result<std::uint64_t> read_number(const std::string& name) const;
    [[nodiscard]] Result<std::optional<std::int64_t>> read_number_optional(
        const std::string& name) const;
    // One write(2) of the whole value; control bytes other than a sole newline are refused,
    // because some attributes (driver_override) silently store what stands before them.
    [[nodiscard]] Result<> write(const std::string& name, std::string_view value) const;
    // Target of a symbolic link, and its last component (nullopt when there is no link).
    [[nodiscard]] Result<std::string> read_link(const std::string& name) const;
    [[nodiscard]] Result<std::optional<std::string>> link_name(const std::string& name) const;
    // Names in a directory without `.` and `..`, sorted. "" lists this directory itself.
    [[nodiscard]] Result<std::vector<std::string>> list(const std::string& name = {}) const;
    [[nodiscard]] bool exists(const std::string& name) const;
    // open(2) flags as given, O_CLOEXEC added.
    [[nodiscard]] Result<UniqueFd> open_file(const std::string& name, int flags) const;
    [[nodiscard]] Result<Dir> open_dir(const std::string& name) const;

    // Ownership and mode of a node; changes are read back. A symbolic link is refused.
    struct Owner {
        uid_t uid = 0;
        gid_t gid = 0;
        mode_t mode = 0;  // permission bits only
        bool operator==(const Owner&) const = default;
    };
    [[nodiscard]] Result<Owner> owner(const std::string& name) const;
    [[nodiscard]] Result<> set_owner(const std::string& name, const Owner& owner) const;

    [[nodiscard]] int fd() const { return fd_.get(); }
    // For messages: where `name` is. The same text the user would type.
    [[nodiscard]] std::string path(std::string_view name = {}) const;

private:
    Dir(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

    UniqueFd fd_;
    std::string path_;
};

class SysRoot {
public:
    // The running kernel.
    static Result<SysRoot> host();
    // A recorded or generated tree with the folders `sys`, `dev` and `proc` below `root`.
    static Result<SysRoot> at(const std::string& root);

    [[nodiscard]] const Dir& sys() const { return sys_; }
    [[nodiscard]] const Dir& dev() const { return dev_; }
    [[nodiscard]] const Dir& proc() const { return proc_; }
    // Whether this is the running kernel (only there ioctl(2) and netlink mean anything).
    [[nodiscard]] bool is_host() const { return root_.empty(); }
    // The folder of the kernel's modules, /lib/modules/RELEASE: `modules.alias` and its like.
    [[nodiscard]] Result<Dir> modules() const;
    // Another folder of the same system, as `/etc/libvirt/qemu`: in a recorded tree, below its
    // root.
    [[nodiscard]] Result<Dir> folder(const std::string& path) const;

private:
    SysRoot(Dir sys, Dir dev, Dir proc, std::string root)
        : sys_(std::move(sys)),
          dev_(std::move(dev)),
          proc_(std::move(proc)),
          root_(std::move(root)) {}

    Dir sys_;
    Dir dev_;
    Dir proc_;
    std::string root_;  // of a recorded tree; empty: the running kernel
};

// Strict number parsing for attributes: whole text, decimal or 0x; nullopt otherwise.
std::optional<std::int64_t> parse_number(std::string_view text);

}  // namespace vfb
