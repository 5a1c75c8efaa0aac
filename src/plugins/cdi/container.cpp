// SPDX-License-Identifier: GPL-2.0-or-later
#include "container.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/open_file.hpp"
#include "base/unique_fd.hpp"
#include "device_cgroup.hpp"

namespace vfb::cdi {
namespace {

constexpr mode_t kFolderMode = 0755;
constexpr mode_t kNodeMode = 0600;

// A folder below `root`, whatever symbolic links the container's image has: none leads out of it.
Result<UniqueFd> open_folder(int root, const std::string& path) {
    open_how how{};
    how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-vararg,hicpp-vararg): glibc 2.36 has no openat2()
    const long fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
    if (fd < 0) return fail_errno(errno, fmt::format("open {} of the container", path), path);
    return UniqueFd(static_cast<int>(fd));
}

Result<UniqueFd> make_folder(int parent, const std::string& name) {
    if (::mkdirat(parent, name.c_str(), kFolderMode) != 0 && errno != EEXIST)
        return fail_errno(errno, fmt::format("make the folder {} in the container", name), name);
    return open_folder(parent, name);
}

// `path` relative to the folder of devices.
Result<> make_node(int devices, const std::string& path, dev_t number, const Bundle& bundle) {
    UniqueFd folder(::fcntl(devices, F_DUPFD_CLOEXEC, 0));
    std::string rest = path;
    for (auto slash = rest.find('/'); slash != std::string::npos; slash = rest.find('/')) {
        VFB_TRY(folder, make_folder(folder.get(), rest.substr(0, slash)));
        rest.erase(0, slash + 1);
    }
    const std::string operation = fmt::format("make the node {} in the container", path);
    if (::mknodat(folder.get(), rest.c_str(), S_IFCHR | kNodeMode, number) == 0) {
        if (::fchownat(folder.get(), rest.c_str(), bundle.uid, bundle.gid, AT_SYMLINK_NOFOLLOW) !=
            0)
            return fail_errno(errno, operation, path);
        return {};
    }
    // Another device of the specification needs it as well, or the container has all the host's.
    if (errno == EEXIST && device_number(folder.get(), rest) == number) return {};
    return fail_errno(errno, operation, path);
}

}  // namespace

Result<> give_nodes(const SysRoot& root, const State& state,
                    const std::vector<std::string>& nodes) {
    VFB_TRY(const Bundle bundle, read_bundle(state.bundle));
    if (bundle.user_namespace)
        return fail(Code::unsupported, "give nodes to container " + state.id, state.id,
                    "it has a user namespace, in which no device nodes can be made",
                    "ask for a function by its name (vfbroker.io/POOL=ADDRESS), whose nodes the "
                    "container's runtime mounts, or do without --userns");
    // By way of its first process, as the mounts are those of its own namespace.
    VFB_TRY(const UniqueFd host_root,
            root.proc().open_file(fmt::format("{}/root", state.pid), O_RDONLY | O_DIRECTORY));
    VFB_TRY(const UniqueFd container, open_folder(host_root.get(), bundle.root));
    VFB_TRY(const UniqueFd devices, open_folder(container.get(), "dev"));
    const std::string folder = root.dev().path() + "/";
    std::vector<dev_t> numbers;
    for (const std::string& node : nodes) {
        const std::string name = node.starts_with(folder) ? node.substr(folder.size()) : node;
        const auto number = device_number(root.dev().fd(), name);
        if (!number)
            return fail(Code::lost, fmt::format("give {} to container {}", node, state.id), node,
                        "it is no device node", "vfbroker list");
        VFB_CHECK(make_node(devices.get(), name, *number, bundle));
        numbers.push_back(*number);
    }
    return allow_devices(root, state, numbers);
}

}  // namespace vfb::cdi
